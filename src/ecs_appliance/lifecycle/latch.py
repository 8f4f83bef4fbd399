"""The latch: after a failure that needs a person, no unit starts until its file is removed."""

from ecs_appliance.core.files import point_symlink, write_atomic
from ecs_appliance.core.paths import Paths

# Operators know two names. The file has the older one, the other is a symlink to it: removing either one unlatches.
OLD_NAME = "appliance_failed"


def latch(paths: Paths, reason: str) -> None:
    """Prevent the units from starting, for `reason`."""
    write_atomic(paths.latch.with_name(OLD_NAME), f"{reason}\n", mode=0o644)
    point_symlink(paths.latch, OLD_NAME)


def latched(paths: Paths) -> bool:
    """Return whether the units are prevented from starting."""
    return paths.latch.exists()
