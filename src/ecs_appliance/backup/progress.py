"""State of a recovery or rewind, kept across reboots: the site must not start on incomplete data."""

from dataclasses import dataclass
from typing import Literal

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.phases import PhaseFile
from ecs_appliance.core.state import StateFile

PUBLIC = 0o644
# A damaged file is never treated as missing: the site would start on incomplete data.
LOST_RECOVERY = (
    "start over: systemctl stop appliance; rm /var/lib/ecs-appliance/recovery.json; appliance recover --yes "
    "--move-aside"
)
LOST_REWIND = (
    "systemctl stop appliance postgresql@17-main; if /data/postgresql/17 contains a main.before-DATE of this rewind, "
    "move main away and rename main.before-DATE to main; rm /var/lib/ecs-appliance/rewind.json; systemctl start "
    "appliance"
)
LOST_ABANDONED = (
    "move it away; rewinds into periods that earlier rewinds abandoned are then no longer refused, so compare first: "
    "appliance rewind --to TIME"
)


@dataclass(frozen=True)
class Recovery:
    """State of a recovery from `snapshot`; `until` is the point in time to recover to, ISO 8601, or empty.

    `lost` are the documents (paths below the vault) that are damaged in the backup.
    """

    snapshot: str
    until: str
    phase: Literal["aside", "files", "database", "start"]
    began: float
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rewind:
    """State of a rewind to `moment` (Unix seconds) from backup `label`.

    `kept` is the folder that the present cluster was moved to; `timeline` is the timeline that contains the moment.
    """

    moment: float
    label: str
    phase: Literal["aside", "database", "start"]
    began: float
    kept: str = ""
    timeline: int = 0


@dataclass(frozen=True)
class AbandonedTimeline:
    """A period abandoned by a rewind, from `since` to `until` (Unix seconds); its database is in the folder `kept`."""

    since: float
    until: float
    kept: str


def recovery_file(paths: Paths) -> PhaseFile[Recovery]:
    """Return the state file of the current recovery."""
    return PhaseFile(paths.recovery, Recovery, PUBLIC, LOST_RECOVERY)


def rewind_file(paths: Paths) -> PhaseFile[Rewind]:
    """Return the state file of the current rewind."""
    return PhaseFile(paths.rewind, Rewind, PUBLIC, LOST_REWIND)


def is_unfinished(paths: Paths) -> bool:
    """Return whether a recovery or rewind was interrupted before the data were complete. Raises ApplianceError."""
    return recovery_file(paths).is_unfinished() or rewind_file(paths).is_unfinished()


def abandoned_file(paths: Paths) -> StateFile[list[AbandonedTimeline]]:
    """Return the file of the periods that rewinds abandoned."""
    return StateFile(paths.rewinds, list[AbandonedTimeline], PUBLIC, LOST_ABANDONED)


def read_abandoned(paths: Paths) -> list[AbandonedTimeline]:
    """Return the periods that rewinds abandoned. Raises ApplianceError if the file is damaged."""
    return abandoned_file(paths).read() or []
