"""Decisions about backups: what is taken, when which kind is due, what is chosen, what fits."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.model import Backup as Settings
from ecs_appliance.host.pgbackrest import Backup, Kind
from ecs_appliance.host.restic import Policy, Snapshot

# Of /data: all but the database's own files, which nobody can copy while they are written.
SAVED = ("ecs-acme", "ecs-ca", "ecs-gpg", "ecs-pgdump", "ecs-storage-vault", "etc", "pgbackrest")
TAG = "ecs-appliance"
DAY = 86400
FULL_SECONDS, DIFFERENTIAL_SECONDS = 6.5 * DAY, 0.8 * DAY
# As far ahead as a clock of somebody's may be.
TOLERANCE = timedelta(days=1)
# Never used by a backup or a recovery: what the machine needs to go on.
RESERVE = 10**9


def saved_paths(paths: Paths) -> list[Path]:
    """What a snapshot is made of."""
    return [paths.data / name for name in SAVED if (paths.data / name).is_dir()]


def excluded_paths(paths: Paths) -> tuple[str, ...]:
    """Half-written files of pgBackRest and of the application, which are renamed when they are whole.

    Where they are, and nowhere else: a folder of such a name would take along what is in it.
    """
    return (f"{paths.archive}/**/*.pgbackrest.tmp", f"{paths.vault}/*/*/*/*/*.part")


def due_kind(backups: Sequence[Backup], now: float, *, nightly: bool) -> Kind | None:
    """Which backup of the database is due: a full one first and each week, a differential one each night."""
    full = max((backup.stopped for backup in backups if backup.kind == "full"), default=None)
    if full is None:
        return "full"
    if not nightly:
        return None
    if now - full > FULL_SECONDS:
        return "full"
    last = max(backup.stopped for backup in backups)
    return "diff" if now - last > DIFFERENTIAL_SECONDS else None


def policy_of(settings: Settings) -> Policy:
    """Which snapshots `settings` want to keep."""
    return Policy(
        last=settings.keep_last,
        daily=settings.keep_daily,
        weekly=settings.keep_weekly,
        monthly=settings.keep_monthly,
        floor_days=settings.keep_floor_days,
    )


def check_room(needed: int, free: int, place: str) -> None:
    """Raise RefusedError where `needed` bytes at `place` would leave less than the reserve of `free` ones."""
    if needed + RESERVE <= free:
        return
    raise RefusedError(
        f"{place} has {in_gb(free)} free; {in_gb(needed)} are needed, and {in_gb(RESERVE)} are kept in reserve",
        f"make room at {place}",
    )


def in_gb(size: float) -> str:
    """`size` bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004 # one gigabyte


def find_gap(snapshots: Sequence[Snapshot], floor_days: int, now: datetime) -> timedelta | None:
    """The hole behind the newest snapshots, where they do not reach back `floor_days` and a longer time is missing.

    Then the machine was off, or its clock is ahead, and counting from the newest one would put what is younger than
    `floor_days` among the old. `snapshots` come oldest first; of those in the future restic does not count either.
    """
    floor = timedelta(days=max(floor_days, 1))
    times = [snapshot.time for snapshot in snapshots if snapshot.time <= now]
    for older, younger in pairwise(times):
        if times[-1] - younger < floor < younger - older:
            return younger - older
    return None


def choose_snapshot(
    snapshots: Sequence[Snapshot], *, wanted: str = "", until: datetime | None = None, now: datetime | None = None
) -> Snapshot:
    """The snapshot to recover from: that of the id `wanted`; the first that knows the moment `until`; or the last.

    `snapshots` come oldest first. Those dated in the future were made by a clock that was wrong: they are not the last,
    as long as there are others. Raises RefusedError where there is none.
    """
    if not snapshots:
        raise RefusedError("there is no backup to recover from", "is appliance.backup.url the right one?")
    if wanted:
        found = [snapshot for snapshot in snapshots if snapshot.id.startswith(wanted)]
        if len(found) != 1:
            raise RefusedError(f"{wanted} names {len(found)} backups", "appliance backup list shows them")
        return found[0]
    if until is None:
        latest = (now or datetime.now(UTC)) + TOLERANCE
        return next((snapshot for snapshot in reversed(snapshots) if snapshot.time <= latest), snapshots[-1])
    after = [snapshot for snapshot in snapshots if snapshot.time >= until]
    if not after:
        last = snapshots[-1].time.astimezone()
        raise RefusedError(
            f"the last backup is of {last:%Y-%m-%d %H:%M:%S}, before that time", "recover without --to to get it"
        )
    return after[0]
