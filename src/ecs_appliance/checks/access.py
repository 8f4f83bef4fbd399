"""Checks that someone can log in with a key; without one, ssh keeps accepting passwords, or nobody gets in."""

from collections.abc import Iterable

from ecs_appliance.checks.check import Machine
from ecs_appliance.converge.ssh import has_admin_key
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import NO_KEY

TOPICS = (NO_KEY,)


def find(machine: Machine) -> Iterable[Finding]:
    """Look for a key that lets someone become root."""
    if machine.env is not None and not has_admin_key(machine.paths, machine.env):
        hint = "add a public key to ssh_authorized_keys in env.yml, then: systemctl reload appliance"
        yield Finding(NO_KEY, "warning", "no ssh key gives access to root", hint)
