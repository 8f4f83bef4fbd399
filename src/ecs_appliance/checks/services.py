"""Checks that the services the site depends on are running."""

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
    """Ask systemd for services that should be active, except during a recovery or rewind, which stop the database."""
    if machine.env is None or is_unfinished(machine.paths):
        return
    for unit, state in systemd.read_conditions(machine.runner, NAMES).items():
        if state.active in ("inactive", "failed"):
            hint = f"systemctl start {unit}; journalctl -u {unit} shows why it stopped"
            yield Finding(f"{SERVICE}{unit}", "critical", f"{NAMES[unit]} is not running", hint)
