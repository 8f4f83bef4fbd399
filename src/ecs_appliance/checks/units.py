"""Checks for units that failed and have not succeeded since, also if their process could not report it."""

from collections.abc import Iterable

from ecs_appliance.checks.check import Machine
from ecs_appliance.checks.services import NAMES
from ecs_appliance.host import systemd
from ecs_appliance.lifecycle.boundary import is_reported
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import UNIT

TOPICS = (UNIT,)


def find(machine: Machine) -> Iterable[Finding]:
    """Ask systemd for failed units. An active alert stays, with the reason the unit reported, until it is healthy."""
    standing = {each.topic.removeprefix(UNIT): each for each in machine.context.alerts.standing(UNIT)}
    failed = systemd.failed_units(machine.runner)
    # Topics that are not a unit, such as the reload of one, are cleared only by their own success.
    units = [name for name in standing if name.endswith(".service") and "@." not in name]
    states = systemd.read_conditions(machine.runner, units)
    for name, alert in standing.items():
        if name in failed or name not in states or not states[name].is_well:
            yield Finding(alert.topic, alert.severity, alert.message, alert.hint)
    unknown = failed - standing.keys() - NAMES.keys()
    for unit in (unit for unit in unknown if not is_reported(machine.context, unit)):
        yield Finding(
            f"{UNIT}{unit}", "critical", f"{unit} failed", f"journalctl -u {unit}; then: systemctl restart {unit}"
        )
