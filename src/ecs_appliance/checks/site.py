"""Checks that the site is up, as a visitor sees it."""

from collections.abc import Iterable

from ecs_appliance.checks.check import Machine
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import SITE

TOPICS = (SITE,)
# Pages that say why there is no site: an operator wanted that, or is working on it.
ON_PURPOSE = ("installed", "standby", "no-database", "recovering", "stopped")
# How many seconds a start may take before it counts as an outage.
START_SECONDS = 180.0
WAIT = "wait, it is starting: journalctl -u appliance -f"


def find(machine: Machine) -> Iterable[Finding]:
    """Request the login page; while the site starts or is down on purpose, nothing is reported."""
    if machine.env is None:
        return
    page = machine.page
    if page is not None and page.kind in ON_PURPOSE:
        return
    if page is not None and page.kind == "starting" and not page.error and machine.now - page.began < START_SECONDS:
        return
    if not machine.outage:
        return
    reason = page.error if page is not None and page.error else machine.outage
    hint = "" if page is None else page.next or (WAIT if page.kind == "starting" else "")
    yield Finding(SITE, "critical", f"the site is down: {reason}", hint)
