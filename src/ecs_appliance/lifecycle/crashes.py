"""How often the running appliance has crashed of late: past a limit it gives up, until a person starts it."""

import json
import time

from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.paths import Paths

LIMIT = 10
# Long enough for ten starts that each wait for their full time.
WINDOW_SECONDS = 3 * 3600.0


def note_crash(paths: Paths) -> None:
    """The appliance ended otherwise than by a stop."""
    write_atomic(paths.run / "crashes", json.dumps([*_recent(paths), time.time()]))


def forget_crashes(paths: Paths) -> None:
    """Start counting anew."""
    (paths.run / "crashes").unlink(missing_ok=True)


def too_many_crashes(paths: Paths) -> bool:
    """Whether the limit is reached."""
    return len(_recent(paths)) >= LIMIT


def _recent(paths: Paths) -> list[float]:
    times = json.loads(read_optional(paths.run / "crashes") or "[]")
    return [when for when in times if time.time() - when < WINDOW_SECONDS]
