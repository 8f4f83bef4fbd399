"""Checks that all state files could be read."""

from collections.abc import Iterable

from ecs_appliance.backup.progress import is_unfinished, read_abandoned
from ecs_appliance.checks.check import Machine
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.state import DAMAGED, find_damaged
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import STATE

TOPICS = (STATE,)
# While these cannot be read, nothing starts and no rewind is possible.
STAYING = {"progress": is_unfinished, "rewinds": read_abandoned}


def find(machine: Machine) -> Iterable[Finding]:
    """Look for state files that were set aside as damaged, and read those that never are."""
    paths = machine.paths
    for file in find_damaged((paths.state, paths.state / "alerts", paths.www, paths.run, paths.run / "alerts")):
        name = file.name.removesuffix(DAMAGED)
        message = f"{file.with_name(name)} was damaged: its content is no longer used, and it was started afresh"
        yield Finding(f"{STATE}{name}", "warning", message, f"is a drive failing? journalctl -k; then: rm {file}")
    for name, read in STAYING.items():
        try:
            read(paths)
        except ApplianceError as error:
            yield Finding(f"{STATE}{name}", "critical", error.message, error.hint)
