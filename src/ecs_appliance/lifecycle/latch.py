"""The latch: a failure that a person has to look at keeps every unit from starting until its file is removed."""

from ecs_appliance.core.files import point_symlink, write_atomic
from ecs_appliance.core.paths import Paths

# The older of both names that operators know holds the file, the other follows it: removing either one unlatches.
OLD_NAME = "appliance_failed"


def latch(paths: Paths, reason: str) -> None:
    """Keep the units from starting, for `reason`."""
    write_atomic(paths.latch.with_name(OLD_NAME), f"{reason}\n", mode=0o644)
    point_symlink(paths.latch, OLD_NAME)


def latched(paths: Paths) -> bool:
    """Whether the units are kept from starting."""
    return paths.latch.exists()
