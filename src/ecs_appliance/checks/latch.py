"""Checks whether a failure keeps the units from starting until a person has looked into it."""

from collections.abc import Iterable

from ecs_appliance.checks.check import Machine
from ecs_appliance.core.files import read_optional
from ecs_appliance.lifecycle.failed import UNLATCH
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import LATCH

TOPICS = (LATCH,)


def find(machine: Machine) -> Iterable[Finding]:
    """Read the latch."""
    if machine.paths.latch.exists():
        reason = (read_optional(machine.paths.latch) or "").strip() or "no reason given"
        yield Finding(LATCH, "critical", f"nothing starts until an administrator has fixed this: {reason}", UNLATCH)
