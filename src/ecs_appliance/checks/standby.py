"""Reports that the site is down on purpose, or that an operator's work on it is unfinished."""

from collections.abc import Iterable

from ecs_appliance.checks.check import Machine
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import STANDBY

TOPICS = (STANDBY,)
AWAY = ("standby", "no-database", "recovering", "stopped")


def find(machine: Machine) -> Iterable[Finding]:
    """Read the status page."""
    page = machine.page
    if page is not None and page.kind in AWAY:
        yield Finding(STANDBY, "warning", f"the site is not in operation: {page.headline}", page.next)
