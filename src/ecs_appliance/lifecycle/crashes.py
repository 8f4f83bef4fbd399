"""How often the running appliance has crashed of late: past a limit it gives up, until a person starts it."""

import time

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile

LIMIT = 10
# Long enough for ten starts that each wait for their full time.
WINDOW_SECONDS = 3 * 3600.0


def note_crash(paths: Paths) -> None:
    """The appliance ended otherwise than by a stop."""
    _file(paths).write([*_recent(paths), time.time()])


def forget_crashes(paths: Paths) -> None:
    """Start counting anew."""
    _file(paths).clear()


def too_many_crashes(paths: Paths) -> bool:
    """Whether the limit is reached."""
    return len(_recent(paths)) >= LIMIT


def _recent(paths: Paths) -> list[float]:
    return [when for when in _file(paths).read() or [] if time.time() - when < WINDOW_SECONDS]


def _file(paths: Paths) -> StateFile[list[float]]:
    return StateFile(paths.run / "crashes", list[float])
