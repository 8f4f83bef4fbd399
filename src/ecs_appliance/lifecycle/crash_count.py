"""Count recent crashes of the running appliance: at a limit it gives up until a person starts it."""

import time

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile

LIMIT = 10
# Long enough for ten starts that each run into their time limit.
WINDOW_SECONDS = 3 * 3600.0


def note_crash(paths: Paths) -> None:
    """Record that the appliance ended other than by a stop."""
    _file(paths).write([*_recent(paths), time.time()])


def forget_crashes(paths: Paths) -> None:
    """Reset the count."""
    _file(paths).clear()


def too_many_crashes(paths: Paths) -> bool:
    """Return whether the limit is reached."""
    return len(_recent(paths)) >= LIMIT


def _recent(paths: Paths) -> list[float]:
    return [when for when in _file(paths).read() or [] if time.time() - when < WINDOW_SECONDS]


def _file(paths: Paths) -> StateFile[list[float]]:
    return StateFile(paths.run / "crashes", list[float])
