"""Which units have failed and not succeeded since: of systemd, also where the process could not say so itself."""

from collections.abc import Iterable

from ecs_appliance.checks.check import Machine
from ecs_appliance.checks.services import NAMES
from ecs_appliance.host import systemd
from ecs_appliance.lifecycle.boundary import is_reported
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import UNIT

TOPICS = (UNIT,)


def find(machine: Machine) -> Iterable[Finding]:
    """Ask systemd for failed units. What stands of a unit stays until that is well, with the reason it told itself."""
    standing = {each.topic.removeprefix(UNIT): each for each in machine.context.alerts.standing(UNIT)}
    failed = systemd.failed_units(machine.runner)
    # What is no unit, such as the reload of one, only its own success clears.
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
