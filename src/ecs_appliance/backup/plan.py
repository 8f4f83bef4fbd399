"""Pure decisions about backups: what is saved, which kind is due, which snapshot to use, what fits."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.model import Backup as Settings
from ecs_appliance.host.pgbackrest import BackupKind, ClusterBackup
from ecs_appliance.host.restic import Policy, Snapshot

# Of /data: everything but the database cluster, which cannot be copied while it is written.
SAVED = ("ecs-acme", "ecs-ca", "ecs-gpg", "ecs-pgdump", "ecs-storage-vault", "etc", "pgbackrest")
TAG = "ecs-appliance"
DAY = 86400
FULL_SECONDS, DIFFERENTIAL_SECONDS = 6.5 * DAY, 0.8 * DAY
# How far in the future a snapshot may be dated before its clock counts as wrong.
TOLERANCE = timedelta(days=1)
# Never used by a backup or a recovery, so that the machine keeps running.
RESERVE = 10**9


def saved_paths(paths: Paths) -> list[Path]:
    """Return the existing folders that go into a snapshot."""
    return [paths.data / name for name in SAVED if (paths.data / name).is_dir()]


def excluded_paths(paths: Paths) -> tuple[str, ...]:
    """Return patterns of files that pgBackRest and the application are still writing and rename when complete.

    They only match where these programs write, so that no other file of such a name is left out.
    """
    return (f"{paths.archive}/**/*.pgbackrest.tmp", f"{paths.vault}/*/*/*/*/*.part")


def due_kind(backups: Sequence[ClusterBackup], now: float, *, nightly: bool) -> BackupKind | None:
    """Return the kind of database backup that is due: full at first and weekly, differential nightly, else None."""
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
    """Return the retention policy of `settings`."""
    return Policy(
        last=settings.keep_last,
        daily=settings.keep_daily,
        weekly=settings.keep_weekly,
        monthly=settings.keep_monthly,
        floor_days=settings.keep_floor_days,
    )


def check_room(needed: int, free: int, place: str) -> None:
    """Raise RefusedError if `needed` bytes at `place`, which has `free` bytes, would use up the reserve."""
    if needed + RESERVE <= free:
        return
    raise RefusedError(
        f"{place} has {in_gb(free)} free; {in_gb(needed)} are needed, plus {in_gb(RESERVE)} in reserve",
        f"free up space on {place}",
    )


def in_gb(size: float) -> str:
    """Format `size` bytes in MB or GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004 # one gigabyte


def find_gap(snapshots: Sequence[Snapshot], floor_days: int, now: datetime) -> timedelta | None:
    """Return the gap before the newest snapshots if it exceeds `floor_days` and they span less than that, else None.

    The machine was off then, or its clock is ahead. Retention counts back from the newest snapshot, so it would treat
    snapshots younger than `floor_days` as old. `snapshots` are sorted oldest first; future ones are ignored, as restic
    does.
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
    """Return the snapshot to recover from: the one with id `wanted`, the first made at or after `until`, or the last.

    `snapshots` are sorted oldest first. One dated in the future, by a wrong clock, counts as last only if there is no
    other. Raises RefusedError if there is none.
    """
    if not snapshots:
        raise RefusedError("no backup found to recover from", "is appliance.backup.url the right one?")
    if wanted:
        found = [snapshot for snapshot in snapshots if snapshot.id.startswith(wanted)]
        if len(found) != 1:
            raise RefusedError(
                f"{wanted} matches {len(found)} backups, not exactly one", "appliance backup list shows the IDs"
            )
        return found[0]
    if until is None:
        latest = (now or datetime.now(UTC)) + TOLERANCE
        return next((snapshot for snapshot in reversed(snapshots) if snapshot.time <= latest), snapshots[-1])
    after = [snapshot for snapshot in snapshots if snapshot.time >= until]
    if not after:
        last = snapshots[-1].time.astimezone()
        raise RefusedError(
            f"the last backup was made at {last:%Y-%m-%d %H:%M:%S}, before that time", "recover without --to to use it"
        )
    return after[0]
