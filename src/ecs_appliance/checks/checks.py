"""All checks, and what follows from what they find."""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from ecs_appliance.checks import access, backups, clock, latch, services, site, space, standby, state, units, updates
from ecs_appliance.checks.check import Check, Machine
from ecs_appliance.core.errors import as_failure
from ecs_appliance.reporting.alerts import Finding
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
    "backups": backups,
}


def run_checks(machine: Machine) -> None:
    """Raise and clear the alerts of all checks. One that fails is an alert itself, and leaves its own as they were."""
    with ThreadPoolExecutor(len(CHECKS)) as pool:
        found = dict(zip(CHECKS, pool.map(lambda check: _find(check, machine), CHECKS.values()), strict=True))
    failures = []
    for name, findings in found.items():
        if isinstance(findings, Exception):
            failure = as_failure(findings)
            failures.append(
                Finding(f"{CHECK}{name}", "warning", f"the check of {name} failed: {failure.summary}", failure.hint)
            )
        else:
            machine.context.alerts.tell(CHECKS[name].TOPICS, findings)
    machine.context.alerts.tell((CHECK,), failures)


def _find(check: Check, machine: Machine) -> Iterable[Finding] | Exception:
    try:
        return list(check.find(machine))
    except Exception as error:  # noqa: BLE001 # whatever it was, the other checks are made
        return error
