"""The way back: files out of a snapshot, then the database to the moment that the snapshot's record names."""

import logging
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ecs_appliance.backup import disarm
from ecs_appliance.backup.plan import SAVED, check_room
from ecs_appliance.backup.record import Record, read_record
from ecs_appliance.backup.restored import disarm as disarm_tree
from ecs_appliance.backup.restored import take_root
from ecs_appliance.backup.run import Machine, has_documents
from ecs_appliance.core import folders
from ecs_appliance.core.errors import ApplianceError, NotRunningError, RefusedError
from ecs_appliance.core.files import sync_folder
from ecs_appliance.core.runner import ProcessError
from ecs_appliance.host import postgres, systemd
from ecs_appliance.host.cluster import LOG, UNIT
from ecs_appliance.host.pgbackrest import RESTORE_COMMAND, USER, Backup
from ecs_appliance.host.restic import Note, Repository, Snapshot

log = logging.getLogger(__name__)

REPLAY_SECONDS = 6 * 3600
# By these pgBackRest knows that a folder holds a cluster which it may go on with.
# Below /data: what came back from a backup, and is no data.
ASIDE = ".restored-aside"
# Of /data/etc, while others are restored: the hooks of the machine.
KEPT_HOOKS = ".hooks-of-this-machine"
SIGNS = ("PG_VERSION", "backup.manifest")


@dataclass(frozen=True)
class Restored:
    """Files that are back. `lost` are documents, paths below the vault, that the backup no longer has whole.

    `odd` says what in the backup was no data, and what became of it; `hooks` what became of hooks in it.
    """

    lost: tuple[str, ...]
    odd: tuple[str, ...]
    hooks: tuple[str, ...] = ()


def find_data(machine: Machine) -> list[str]:
    """What lies on this machine that a recovery would replace, in words."""
    found = []
    if has_documents(machine.paths.vault):
        found.append(f"documents in {machine.paths.vault}")
    name = machine.env.ecs.database
    try:
        if postgres.database_exists(machine.server, name) and not postgres.is_empty(machine.server, name):
            found.append(f"the database {name}")
    except NotRunningError:
        if any(machine.paths.cluster.glob("*")):
            found.append(f"a database server in {machine.paths.cluster} that does not answer")
    return found


def move_aside(machine: Machine, names: tuple[str, ...]) -> list[Path]:
    """Rename the folders `names` of /data, so that others can take their place; returns what they are called now.

    The database server must not run.
    """
    moved = [rename_aside(machine.paths.data / name) for name in names]
    moved.append(move_cluster_aside(machine))
    return [path for path in moved if path]


def move_cluster_aside(machine: Machine, aside: Path | None = None) -> Path | None:
    """Rename the files of the database server, which must not run, to `aside` or a new name.

    Returns what they are called now, None without any.
    """
    return rename_aside(machine.paths.cluster, aside)


def name_aside(folder: Path) -> Path:
    """What `folder` would be called, kept aside now."""
    real = folders.real_path(folder)
    return real.with_name(f"{real.name}.before-{stamp()}")


def stamp() -> str:
    """What tells apart the names of what was kept aside."""
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S")


def rename_aside(folder: Path, aside: Path | None = None) -> Path | None:
    """Rename `folder`, so that another can take its place; returns what it is called now, None where it is empty."""
    real = folders.real_path(folder)
    if not real.is_dir() or not any(real.iterdir()):
        return None
    aside = aside or name_aside(folder)
    real.rename(aside)
    sync_folder(real.parent)
    return aside


def check_space(machine: Machine, repository: Repository, snapshot: Snapshot) -> int:
    """Bytes of `snapshot`. Raises RefusedError where they and the database do not fit."""
    size = repository.size_of(snapshot.id)
    # The database grows out of its compressed backup, which is in the snapshot and takes a quarter at the least.
    check_room(2 * size, shutil.disk_usage(machine.paths.data).free, str(machine.paths.data))
    return size


def restore_files(
    machine: Machine,
    repository: Repository,
    snapshot: str,
    note: Note,
    *,
    source: Path | None = None,
    reader: str = USER,
) -> Restored:
    """Have the files of `snapshot` below /data, as they were; goes on where an earlier run was cut off.

    `source` is where they were when it was made, where that is elsewhere than on `machine`; `reader` gets the backups
    of the database.
    Hooks are put beside those of the machine. Raises ApplianceError where more than documents could not be restored.
    """
    data = machine.paths.data
    etc = data / "etc"
    _keep_hooks(etc)
    lost = repository.restore(snapshot, source or data, data, note, only=[f"/{name}" for name in SAVED])
    odd = disarm_tree(data, SAVED, data / f"{ASIDE}-{stamp()}")
    hooks = _own_etc(etc) if etc.is_dir() else ()
    vault = f"/{machine.paths.vault.name}/"
    others = [name for name in lost if not name.startswith(vault)]
    if others:
        raise ApplianceError(
            f"the backup is damaged: {len(others)} files could not be restored, among them {', '.join(others[:5])}",
            "choose another one: appliance backup list, appliance recover --yes-i-am-sure --snapshot ID",
        )
    read_record(machine.paths)
    # The account has another number on each machine.
    if machine.paths.archive.is_dir():
        machine.runner.run(["chown", "--recursive", f"{reader}:", machine.paths.archive], timeout=REPLAY_SECONDS)
    return Restored(tuple(name.removeprefix(vault) for name in lost), odd, hooks)


def _keep_hooks(etc: Path) -> None:
    """Those of this machine are out of the way of others, also where a run was cut off."""
    with suppress(FileNotFoundError):
        if not (etc / KEPT_HOOKS).exists():
            (etc / "hooks").rename(etc / KEPT_HOOKS)


def _own_etc(etc: Path) -> tuple[str, ...]:
    """Have everything there root's; of the hooks, those of before in force, and others beside them: says where."""
    take_root(etc)
    came, kept, beside = etc / "hooks", etc / KEPT_HOOKS, etc / f"hooks.restored-{stamp()}"
    new = _files(came)
    if came.is_dir() and new and new != _files(kept):
        came.rename(beside)
    elif came.is_dir():
        shutil.rmtree(came)
    if kept.exists():
        kept.rename(came)
    sync_folder(etc)
    said = f"hooks of the backup are not in force: read {beside}, and move to {came} what shall be"
    return (said,) if beside.exists() else ()


def _files(folder: Path) -> dict[str, bytes]:
    """The regular files below `folder`, none where it is not."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def restore_database(machine: Machine, record: Record, until: datetime | None) -> None:
    """Have the database as it was at the record's point, or at `until` before it, and serving.

    The server is stopped and its files are ours: empty, or those of an earlier run. Raises ApplianceError.
    """
    label, target = plan_target(record, machine.archive.backups(), until)
    log.info("restoring the database from %s", label)
    restore_cluster(machine, label, target)
    if not postgres.database_exists(machine.server, record.database):
        raise ApplianceError(
            f"the backup has no database {record.database}", "choose another one: appliance backup list"
        )


def restore_cluster(machine: Machine, label: str, target: tuple[str, ...]) -> None:
    """Have the database server serve what backup `label` becomes at `target`, options of pgBackRest.

    It is stopped, and its files are ours: empty, or those of an earlier run. Raises ApplianceError.
    """
    cluster = folders.real_path(machine.paths.cluster)
    folders.make(cluster.parent)
    folders.make(cluster, USER, 0o700)
    _clear_unknown(cluster)
    # What it says of segments that are archived, or fetched ahead, is of another server, or of an attempt before.
    shutil.rmtree(machine.paths.at("/var/spool/pgbackrest/archive"), ignore_errors=True)
    disarm.check_backup(machine.archive, label)
    machine.archive.restore(label, (*target, f"--recovery-option=restore_command={RESTORE_COMMAND}"))
    disarm.disarm_files(cluster)
    replay(machine)
    disarm.disarm_roles(machine.server)


def replay(machine: Machine) -> None:
    """Start the server, and return once it has replayed its log and serves."""
    log_file = machine.paths.at(LOG)
    said_before = log_file.stat().st_size if log_file.exists() else 0
    # Whether it serves, is asked of it itself.
    with suppress(ProcessError):
        systemd.start(machine.runner, UNIT)
    try:
        postgres.wait_ready(machine.server, deadline=REPLAY_SECONDS, alive=lambda: _lives(machine))
    except NotRunningError:
        systemd.stop(machine.runner, UNIT)
        said = log_file.read_bytes()[said_before:].decode(errors="replace") if log_file.exists() else ""
        raise ApplianceError(
            f"the database does not come up from its backup: {postgres.last_words(said)}",
            f"{LOG} tells more; another backup may do: appliance backup list",
        ) from None


def _lives(machine: Machine) -> bool:
    """Whether the server has not ended since it was started; while it replays, systemd may still be starting it.

    One that has ended is started again and again: it is the count that tells.
    """
    seen = systemd.unit_properties(machine.runner, UNIT, "ActiveState", "NRestarts")
    return seen["ActiveState"] in ("active", "activating") and seen["NRestarts"] == "0"


def earlier(until: datetime | None, record: Record) -> datetime | None:
    """`until` where it lies before the record's own moment; None where the database ends at that."""
    return until if until and until.timestamp() < record.taken else None


def plan_target(record: Record, backups: list[Backup], until: datetime | None) -> tuple[str, tuple[str, ...]]:
    """The backup to start from, and pgBackRest's options of where to end.

    Raises RefusedError where no backup is older than `until`.
    """
    moment = earlier(until, record)
    if moment is None:
        return record.label, ("--type=name", f"--target={record.point}")
    before = [backup for backup in backups if backup.stopped < moment.timestamp()]
    if not before:
        raise RefusedError(
            f"no backup of the database is older than {moment:%Y-%m-%d %H:%M:%S}",
            "choose an older snapshot: appliance backup list, appliance recover --snapshot ID",
        )
    target = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00")
    return before[-1].label, ("--type=time", f"--target={target}", *timeline_option(record.timeline))


def timeline_option(timeline: int) -> tuple[str, ...]:
    """pgBackRest's option to stay on `timeline`, and not to follow one that an attempt before made; none for 0."""
    return (f"--target-timeline={timeline}",) if timeline else ()


def _clear_unknown(cluster: Path) -> None:
    """A restore that was cut off at its very beginning leaves what pgBackRest does not dare to go on with."""
    if not any((cluster / sign).exists() for sign in SIGNS):
        folders.empty(cluster)
