"""The database alone back in time, out of the machine's own backups of it: looked at first, beside the present one."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ecs_appliance.backup.plan import check_room
from ecs_appliance.backup.progress import Left, Rewind, left_file, read_left
from ecs_appliance.backup.restore import move_cluster_aside, restore_cluster, timeline_option
from ecs_appliance.backup.run import ARCHIVE_SECONDS, DOCUMENTS, SUMMED, Machine, lacks_log
from ecs_appliance.backup.scratch import Scratch
from ecs_appliance.core.errors import ApplianceError, BusyError, RefusedError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import postgres, tables, wal
from ecs_appliance.host.pgbackrest import USER, Backup
from ecs_appliance.host.postgres import Server

log = logging.getLogger(__name__)

LONG_SECONDS = 6 * 3600
# Below /data: the database of then, while it is looked at.
LOOK = ".rewind"


@dataclass(frozen=True)
class Preview:
    """What a rewind would do: `then` and `now` are rows by table, `newer` documents (uuid, name) without a row then.

    `earliest` is how far back it could go, in Unix seconds; `needed` and `free` are bytes.
    """

    backup: Backup
    moment: float
    earliest: float
    then: dict[str, int]
    now: dict[str, int]
    newer: tuple[tuple[str, str], ...]
    needed: int
    free: int


def note_left(paths: Paths, rewind: Rewind, now: float) -> None:
    """Remember that what came after the moment of `rewind` is of another history."""
    known = [left for left in read_left(paths) if left.kept != rewind.kept]
    left_file(paths).write([*known, Left(rewind.moment, now, rewind.kept)])


def plan_rewind(backups: Sequence[Backup], left: Sequence[Left], moment: float, now: float) -> Backup:
    """The backup to go to `moment` from. Raises RefusedError where that cannot be reached."""
    if moment >= now:
        raise RefusedError("that time has not come yet", "name one that is past: --to 'YYYY-MM-DD HH:MM'")
    before = [backup for backup in backups if backup.stopped < moment]
    if not before:
        earliest = f"{_local(backups[0].stopped)} is the earliest" if backups else "there is none yet"
        raise RefusedError(
            f"no backup of the database on this machine is older than {_local(moment)}: {earliest}",
            "appliance recover --to goes back further, with the backups elsewhere",
        )
    for other in left:
        if other.since < moment < other.until:
            raise RefusedError(
                f"{_local(moment)} is in a history that was left by a rewind to {_local(other.since)}",
                f"its database is kept in {other.kept}; appliance recover --to has it too, from the backups elsewhere",
            )
    return before[-1]


def look(machine: Machine, moment: float, now: float) -> Preview:
    """Have the database as it was at `moment` beside the present one for a while, and compare; changes nothing.

    Raises RefusedError where the moment cannot be reached or there is no room.
    """
    backup, needed, free = check(machine, moment, now)
    scratch = _scratch(machine.paths, machine.runner)
    database = machine.env.ecs.database
    try:
        scratch.prepare()
        scratch.archive.restore(backup.label, time_target(moment))
        server = scratch.start(deadline=LONG_SECONDS)
        then, known = _read(server, database, "of then")
    finally:
        scratch.remove()
    now_there, present = _read(machine.server, database, "of now")
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
    """Rows by table, and names of documents; none where they cannot be read, which is no reason not to go back."""
    try:
        return tables.count_rows(server, database, SUMMED), tables.named_rows(server, database, DOCUMENTS)
    except ApplianceError as error:
        log.error("the database %s cannot be compared: %s", which, error.message)
        return {}, {}


def _scratch(paths: Paths, runner: Runner) -> Scratch:
    """It reads the machine's own backups, which are the database's account's: as one of its group, that may no more."""
    return Scratch("rewind", paths.data / LOOK, paths.archive, runner, groups=(USER,))


def clear_look(paths: Paths, runner: Runner) -> None:
    """Leave nothing of a look that was cut off; one that goes on is left alone."""
    scratch = _scratch(paths, runner)
    if not scratch.folder.exists():
        return
    try:
        with locked(paths.backup_lock, "clear what a rewind left"):
            scratch.remove()
    except BusyError as error:
        log.info("%s", error.message)


def check(machine: Machine, moment: float, now: float) -> tuple[Backup, int, int]:
    """The backup to start from, bytes needed and free; the log up to now is archived then. Raises RefusedError."""
    backup = plan_rewind(machine.archive.backups(), read_left(machine.paths), moment, now)
    needed = postgres.database_size(machine.server)
    free = shutil.disk_usage(machine.paths.cluster).free
    check_room(needed, free, str(machine.paths.cluster))
    segment = wal.end_segment(machine.server)
    wal.wait_archived(machine.server, segment, deadline=ARCHIVE_SECONDS)
    if lacks_log(machine, backup, segment):
        raise RefusedError(
            f"a part of the database's log since {_local(backup.stopped)} was not archived",
            "appliance recover --to goes back with the backups elsewhere",
        )
    return backup, needed, free


def keep_present(machine: Machine, kept: Path) -> None:
    """Rename the present cluster, whose server must not run, to `kept`; nothing where that was done before a cut."""
    if not kept.exists() and move_cluster_aside(machine, kept) is None:
        raise RefusedError(f"{machine.paths.cluster} is empty", "appliance recover fills it")


def go_back(machine: Machine, rewind: Rewind) -> None:
    """Have the database as it was, serving, and a backup of it to start from later. The server must not run."""
    restore_cluster(machine, rewind.label, (*time_target(rewind.moment), *timeline_option(rewind.timeline)))
    machine.archive.ensure(postgres.system_number(machine.server))
    # Of the new timeline: whatever is recovered later starts from here.
    machine.archive.save("diff")


def time_target(moment: float) -> tuple[str, ...]:
    """pgBackRest's options for `moment`, to the microsecond."""
    text = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return ("--type=time", f"--target={text}")


def _local(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M:%S}"
