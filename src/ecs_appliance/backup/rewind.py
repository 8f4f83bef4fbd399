"""Takes only the database back in time, from the machine's own backups, with a preview next to the present one."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ecs_appliance.backup.plan import check_room
from ecs_appliance.backup.progress import AbandonedTimeline, Rewind, abandoned_file, read_abandoned
from ecs_appliance.backup.restore import move_cluster_aside, restore_cluster, timeline_option
from ecs_appliance.backup.run import ARCHIVE_SECONDS, DOCUMENTS, SUMMED, Installation, lacks_log
from ecs_appliance.backup.temporary_server import TemporaryServer
from ecs_appliance.core.errors import ApplianceError, BusyError, RefusedError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import postgres, tables, wal
from ecs_appliance.host.pgbackrest import USER, ClusterBackup
from ecs_appliance.host.postgres import Server

log = logging.getLogger(__name__)

LONG_SECONDS = 6 * 3600
# Below /data: the earlier database during a preview.
PREVIEW = ".rewind"


@dataclass(frozen=True)
class Preview:
    """What a rewind would do: `then` and `now` are rows by table, `newer` documents (uuid, name) without a row then.

    `moment` is the time to go to, `earliest` the earliest possible, in Unix seconds; `needed` and `free` are bytes.
    """

    backup: ClusterBackup
    moment: float
    earliest: float
    then: dict[str, int]
    now: dict[str, int]
    newer: tuple[tuple[str, str], ...]
    needed: int
    free: int


def record_abandoned(paths: Paths, rewind: Rewind, now: float) -> None:
    """Record that what came after the moment of `rewind`, until `now`, is on an abandoned timeline."""
    known = [left for left in read_abandoned(paths) if left.kept != rewind.kept]
    abandoned_file(paths).write([*known, AbandonedTimeline(rewind.moment, now, rewind.kept)])


def plan_rewind(
    backups: Sequence[ClusterBackup], left: Sequence[AbandonedTimeline], moment: float, now: float
) -> ClusterBackup:
    """Return the backup to go to `moment` from. Raises RefusedError if the moment cannot be reached."""
    if moment >= now:
        raise RefusedError("that time is in the future", "choose a time in the past: --to 'YYYY-MM-DD HH:MM'")
    before = [backup for backup in backups if backup.stopped < moment]
    if not before:
        earliest = f"the earliest is {_local(backups[0].stopped)}" if backups else "there are none yet"
        raise RefusedError(
            f"no backup of the database on this machine is older than {_local(moment)}: {earliest}",
            "appliance recover --to can go back further, from the backup target",
        )
    for other in left:
        if other.since < moment < other.until:
            raise RefusedError(
                f"{_local(moment)} is in a period that was abandoned by a rewind to {_local(other.since)}",
                f"its database is kept in {other.kept}; appliance recover --to can restore it too, from the backup "
                "target",
            )
    return before[-1]


def preview(machine: Installation, moment: float, now: float) -> Preview:
    """Restore the database as of `moment` temporarily next to the present one, and compare; changes nothing.

    Raises RefusedError if the moment cannot be reached or there is not enough room.
    """
    backup, needed, free = check(machine, moment, now)
    scratch = _scratch(machine.paths, machine.runner)
    database = machine.env.ecs.database
    try:
        scratch.prepare()
        scratch.archive.restore(backup.label, time_target(moment))
        server = scratch.start(deadline=LONG_SECONDS)
        then, known = _read(server, database, "at that time")
    finally:
        scratch.remove()
    now_there, present = _read(machine.server, database, "as it is now")
    return Preview(
        backup=backup,
        moment=moment,
        earliest=min(each.stopped for each in machine.archive.backups()),
        then=then,
        now=now_there,
        newer=tuple(sorted((uuid, name) for uuid, name in present.items() if uuid not in known)),
        needed=needed,
        free=free,
    )


def _read(server: Server, database: str, which: str) -> tuple[dict[str, int], dict[str, str]]:
    """Return rows by table and document names; empty if unreadable, which does not prevent a rewind."""
    try:
        return tables.count_rows(server, database, SUMMED), tables.named_rows(server, database, DOCUMENTS)
    except ApplianceError as error:
        log.error("the database %s cannot be read for the comparison: %s", which, error.message)
        return {}, {}


def _scratch(paths: Paths, runner: Runner) -> TemporaryServer:
    """Return the server for the preview; membership in postgres's group lets it read the machine's own backups."""
    return TemporaryServer("rewind", paths.data / PREVIEW, paths.archive, runner, groups=(USER,))


def clear_preview(paths: Paths, runner: Runner) -> None:
    """Remove what an interrupted preview left; a running one is not touched."""
    scratch = _scratch(paths, runner)
    if not scratch.folder.exists():
        return
    try:
        with locked(paths.backup_lock, "remove the remains of a rewind"):
            scratch.remove()
    except BusyError as error:
        log.info("%s", error.message)


def check(machine: Installation, moment: float, now: float) -> tuple[ClusterBackup, int, int]:
    """Return the backup to start from, bytes needed and free, once all WAL is archived. Raises RefusedError."""
    backup = plan_rewind(machine.archive.backups(), read_abandoned(machine.paths), moment, now)
    needed = postgres.database_size(machine.server)
    free = shutil.disk_usage(machine.paths.cluster).free
    check_room(needed, free, str(machine.paths.cluster))
    segment = wal.end_segment(machine.server)
    wal.wait_archived(machine.server, segment, deadline=ARCHIVE_SECONDS)
    if lacks_log(machine, backup, segment):
        raise RefusedError(
            f"part of the database's WAL since {_local(backup.stopped)} was not archived",
            "use appliance recover --to, which restores from the backup target",
        )
    return backup, needed, free


def keep_present(machine: Installation, kept: Path) -> None:
    """Rename the present cluster to `kept`, unless that was done before an interruption. The server must be stopped."""
    if not kept.exists() and move_cluster_aside(machine, kept) is None:
        raise RefusedError(f"{machine.paths.cluster} is empty", "appliance recover restores the database")


def go_back(machine: Installation, rewind: Rewind) -> None:
    """Restore and start the earlier database, and make a backup of it. The server must be stopped."""
    restore_cluster(machine, rewind.label, (*time_target(rewind.moment), *timeline_option(rewind.timeline)))
    machine.archive.ensure(postgres.system_number(machine.server))
    # On the new timeline: later recoveries start from this backup.
    machine.archive.save("diff")


def time_target(moment: float) -> tuple[str, ...]:
    """Return pgBackRest's options for `moment`, to the microsecond."""
    text = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return ("--type=time", f"--target={text}")


def _local(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M:%S}"
