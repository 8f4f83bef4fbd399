"""Runs all checks and turns their findings into alerts."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from ecs_appliance.checks import (
    access,
    archive,
    backups,
    clock,
    latch,
    services,
    site,
    space,
    standby,
    state,
    units,
    updates,
)
from ecs_appliance.checks.check import Check, Machine
from ecs_appliance.core.errors import as_failure
from ecs_appliance.reporting.alerts import Alert, Finding
from ecs_appliance.reporting.topics import CHECK

log = logging.getLogger(__name__)

CHECKS: Mapping[str, Check] = {
    "site": site,
    "latch": latch,
    "standby": standby,
    "services": services,
    "units": units,
    "space": space,
    "clock": clock,
    "state": state,
    "updates": updates,
    "access": access,
    "archive": archive,
    "backups": backups,
}


def run_checks(machine: Machine) -> None:
    """Raise and clear the alerts of all checks. One that fails is an alert itself and leaves its own unchanged."""
    machine.context.alerts.tell(*_look(machine))


def current_alerts(machine: Machine) -> list[Alert]:
    """Return the alerts that `run_checks` would leave active, worst and oldest first; changes nothing."""
    return machine.context.alerts.preview(*_look(machine))


def _look(machine: Machine) -> tuple[list[str], list[Finding]]:
    """Run all checks in parallel; return the topics they covered, and their findings."""
    # Read it once before the threads do.
    _ = machine.env
    with ThreadPoolExecutor(len(CHECKS)) as pool:
        found = dict(zip(CHECKS, pool.map(lambda check: _find(check, machine), CHECKS.values()), strict=True))
    topics, findings = [CHECK], []
    for name, seen in found.items():
        if isinstance(seen, Exception):
            failure = as_failure(seen)
            message = f"the check of {name} failed: {failure.summary}"
            findings.append(Finding(f"{CHECK}{name}", "warning", message, failure.hint))
        else:
            topics += CHECKS[name].TOPICS
            findings += seen
    return topics, findings


def _find(check: Check, machine: Machine) -> list[Finding] | Exception:
    try:
        return list(check.find(machine))
    except Exception as error:  # noqa: BLE001 # whatever it is, the other checks still run
        return error
