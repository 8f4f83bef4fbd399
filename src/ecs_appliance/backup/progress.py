"""How far a recovery or a rewind has come, over a reboot too: nothing may be started on data that are not whole."""

from dataclasses import dataclass
from typing import Literal

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.phases import PhaseFile
from ecs_appliance.core.state import StateFile

PUBLIC = 0o644
# Never taken for none: a site would be started on half of its data.
LOST_RECOVERY = (
    "begin it anew: systemctl stop appliance; rm /var/lib/ecs-appliance/recovery.json; "
    "appliance recover --yes-i-am-sure --move-aside"
)
LOST_REWIND = (
    "systemctl stop appliance postgresql@17-main; where /data/postgresql/17 has a main.before-DATE of this rewind, "
    "move main away and name that main; rm /var/lib/ecs-appliance/rewind.json; systemctl start appliance"
)
LOST_LEFT = "move it away; times that an earlier rewind has left are then no longer refused: appliance rewind compares"


@dataclass(frozen=True)
class Recovery:
    """How far a recovery from `snapshot` has come; `until` is the moment to go back to, ISO 8601, or empty.

    `lost` are the documents, paths below the vault, that the backup no longer has whole.
    """

    snapshot: str
    until: str
    phase: Literal["aside", "files", "database", "start"]
    began: float
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rewind:
    """How far a rewind to `moment` (Unix seconds) from backup `label` has come; `kept` is where the present went.

    `timeline` is the database's history that has the moment.
    """

    moment: float
    label: str
    phase: Literal["aside", "database", "start"]
    began: float
    kept: str = ""
    timeline: int = 0


@dataclass(frozen=True)
class Left:
    """A history that a rewind has left: what was between `since` and `until`, Unix seconds, is in the folder `kept`."""

    since: float
    until: float
    kept: str


def recovery_file(paths: Paths) -> PhaseFile[Recovery]:
    """Return the file of the recovery that has begun and not ended."""
    return PhaseFile(paths.recovery, Recovery, PUBLIC, LOST_RECOVERY)


def rewind_file(paths: Paths) -> PhaseFile[Rewind]:
    """Return the file of the rewind that has begun and not ended."""
    return PhaseFile(paths.rewind, Rewind, PUBLIC, LOST_REWIND)


def is_unfinished(paths: Paths) -> bool:
    """Return whether a recovery or a rewind was cut off before all data were there. Raises ApplianceError."""
    return recovery_file(paths).is_unfinished() or rewind_file(paths).is_unfinished()


def left_file(paths: Paths) -> StateFile[list[Left]]:
    """Return the file of the histories that rewinds have left."""
    return StateFile(paths.rewinds, list[Left], PUBLIC, LOST_LEFT)


def read_left(paths: Paths) -> list[Left]:
    """Return the histories that rewinds have left. Raises ApplianceError where the file is damaged."""
    return left_file(paths).read() or []
