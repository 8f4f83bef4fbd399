"""Whether the programs run that the site stands on, whoever stopped them."""

from collections.abc import Iterable

from ecs_appliance.backup.progress import is_unfinished
from ecs_appliance.checks.check import Machine
from ecs_appliance.host import systemd
from ecs_appliance.host.cluster import UNIT as DATABASE
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import SERVICE

TOPICS = (SERVICE,)
NAMES = {"nginx.service": "nginx", DATABASE: "PostgreSQL", "docker.service": "docker"}


def find(machine: Machine) -> Iterable[Finding]:
    """Ask systemd for what should be active. A recovery stops the database itself."""
    if machine.env is None or is_unfinished(machine.paths):
        return
    for unit, state in systemd.read_conditions(machine.runner, NAMES).items():
        if state.active in ("inactive", "failed"):
            hint = f"systemctl start {unit}; journalctl -u {unit} says why it ended"
            yield Finding(f"{SERVICE}{unit}", "critical", f"{NAMES[unit]} does not run", hint)
