"""Restores files from a snapshot, then the database to the restore point in the snapshot's record."""

import logging
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ecs_appliance.backup import disarm
from ecs_appliance.backup.manifest import SnapshotManifest, read_manifest
from ecs_appliance.backup.plan import SAVED, check_room
from ecs_appliance.backup.restored import disarm as disarm_tree
from ecs_appliance.backup.restored import take_root
from ecs_appliance.backup.run import Installation, has_documents
from ecs_appliance.core import folders
from ecs_appliance.core.errors import ApplianceError, NotRunningError, RefusedError
from ecs_appliance.core.files import sync_folder
from ecs_appliance.core.runner import ProcessError
from ecs_appliance.host import postgres, systemd
from ecs_appliance.host.cluster import LOG, UNIT
from ecs_appliance.host.pgbackrest import RESTORE_COMMAND, USER, ClusterBackup
from ecs_appliance.host.restic import OnProgress, Repository, Snapshot

log = logging.getLogger(__name__)

REPLAY_SECONDS = 6 * 3600
# Folder below /data for what a backup contained that is not data.
ASIDE = ".restored-aside"
# The machine's own hooks in /data/etc, while those of a backup are restored.
KEPT_HOOKS = ".hooks-of-this-machine"
# By these files pgBackRest recognizes a cluster that it may continue to restore.
SIGNS = ("PG_VERSION", "backup.manifest")


@dataclass(frozen=True)
class Restored:
    """The result of restoring files. `lost` are documents (paths below the vault) that are damaged in the backup.

    `odd` describes what in the backup was no data and what was done with it; `hooks` what was done with its hooks.
    """

    lost: tuple[str, ...]
    odd: tuple[str, ...]
    hooks: tuple[str, ...] = ()


def find_data(machine: Installation) -> list[str]:
    """Return descriptions of the data on this machine that a recovery would replace."""
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


def move_aside(machine: Installation, names: tuple[str, ...]) -> list[Path]:
    """Rename the folders `names` of /data and the cluster, so that others can take their place; return the new names.

    The database server must be stopped.
    """
    moved = [rename_aside(machine.paths.data / name) for name in names]
    moved.append(move_cluster_aside(machine))
    return [path for path in moved if path]


def move_cluster_aside(machine: Installation, aside: Path | None = None) -> Path | None:
    """Rename the cluster to `aside` or a new name; the server must be stopped.

    Returns the new path, None if there was nothing.
    """
    return rename_aside(machine.paths.cluster, aside)


def name_aside(folder: Path) -> Path:
    """Return the path that `folder` would get if it were moved aside now."""
    real = folders.real_path(folder)
    return real.with_name(f"{real.name}.before-{stamp()}")


def stamp() -> str:
    """Return a time stamp for names of what is moved aside."""
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S")


def rename_aside(folder: Path, aside: Path | None = None) -> Path | None:
    """Rename `folder` so that another can take its place; return its new path, None if it is empty or missing."""
    real = folders.real_path(folder)
    if not real.is_dir() or not any(real.iterdir()):
        return None
    aside = aside or name_aside(folder)
    real.rename(aside)
    sync_folder(real.parent)
    return aside


def check_space(machine: Installation, repository: Repository, snapshot: Snapshot) -> int:
    """Return the bytes of `snapshot`. Raises RefusedError if they and the database do not fit."""
    size = repository.size_of(snapshot.id)
    # The database is larger than its compressed backup in the snapshot, which has at least a quarter of its size.
    check_room(2 * size, shutil.disk_usage(machine.paths.data).free, str(machine.paths.data))
    return size


def restore_files(
    machine: Installation,
    repository: Repository,
    snapshot: str,
    on_progress: OnProgress,
    *,
    source: Path | None = None,
    reader: str = USER,
) -> Restored:
    """Restore the files of `snapshot` below /data; continue where an earlier run was interrupted.

    `source` is the folder they were saved from, if not that of `machine`; `reader` becomes the owner of pgBackRest's
    repository. Hooks from the backup are put next to those of the machine. Raises ApplianceError if anything but
    documents could not be restored.
    """
    data = machine.paths.data
    etc = data / "etc"
    _keep_hooks(etc)
    lost = repository.restore(snapshot, source or data, data, on_progress, only=[f"/{name}" for name in SAVED])
    odd = disarm_tree(data, SAVED, data / f"{ASIDE}-{stamp()}")
    hooks = _own_etc(etc) if etc.is_dir() else ()
    vault = f"/{machine.paths.vault.name}/"
    others = [name for name in lost if not name.startswith(vault)]
    if others:
        raise ApplianceError(
            f"the backup is damaged: {len(others)} files could not be restored, among them {', '.join(others[:5])}",
            "choose another backup: appliance backup list, appliance recover --yes --snapshot ID",
        )
    read_manifest(machine.paths)
    # Account ids differ between machines.
    if machine.paths.archive.is_dir():
        machine.runner.run(["chown", "--recursive", f"{reader}:", machine.paths.archive], timeout=REPLAY_SECONDS)
    return Restored(tuple(name.removeprefix(vault) for name in lost), odd, hooks)


def _keep_hooks(etc: Path) -> None:
    """Move the machine's hooks out of the way, unless an interrupted run already did."""
    with suppress(FileNotFoundError):
        if not (etc / KEPT_HOOKS).exists():
            (etc / "hooks").rename(etc / KEPT_HOOKS)


def _own_etc(etc: Path) -> tuple[str, ...]:
    """Make root own all of `etc`, reinstate the machine's hooks, put others next to them; report where these are."""
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
    said = f"hooks from the backup are not active: review {beside}, and move those you want to {came}"
    return (said,) if beside.exists() else ()


def _files(folder: Path) -> dict[str, bytes]:
    """Return the contents of the regular files below `folder`; none if it does not exist."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def restore_database(machine: Installation, record: SnapshotManifest, until: datetime | None) -> None:
    """Restore and start the database as of the record's restore point, or of `until` before it.

    The server is stopped and its cluster is empty or from an interrupted run. Raises ApplianceError.
    """
    label, target = plan_target(record, machine.archive.backups(), until)
    log.info("restoring the database from %s", label)
    restore_cluster(machine, label, target)
    if not postgres.database_exists(machine.server, record.database):
        raise ApplianceError(
            f"the backup has no database {record.database}", "choose another backup: appliance backup list"
        )


def restore_cluster(machine: Installation, label: str, target: tuple[str, ...]) -> None:
    """Restore backup `label` to `target` (options of pgBackRest) and start the database server.

    The server is stopped and its cluster is empty or from an interrupted run. Raises ApplianceError.
    """
    cluster = folders.real_path(machine.paths.cluster)
    folders.make(cluster.parent)
    folders.make(cluster, USER, 0o700)
    _clear_unknown(cluster)
    # Its state of archived and prefetched segments is from another server or an earlier attempt.
    shutil.rmtree(machine.paths.at("/var/spool/pgbackrest/archive"), ignore_errors=True)
    disarm.check_backup(machine.archive, label)
    machine.archive.restore(label, (*target, f"--recovery-option=restore_command={RESTORE_COMMAND}"))
    disarm.disarm_files(cluster)
    replay(machine)
    disarm.disarm_roles(machine.server)


def replay(machine: Installation) -> None:
    """Start the server, and return once it has replayed its WAL and serves. Raises ApplianceError if it does not."""
    log_file = machine.paths.at(LOG)
    said_before = log_file.stat().st_size if log_file.exists() else 0
    # Whether it serves is determined by connecting to it below.
    with suppress(ProcessError):
        systemd.start(machine.runner, UNIT)
    try:
        postgres.wait_ready(machine.server, deadline=REPLAY_SECONDS, alive=lambda: _lives(machine))
    except NotRunningError:
        systemd.stop(machine.runner, UNIT)
        said = log_file.read_bytes()[said_before:].decode(errors="replace") if log_file.exists() else ""
        raise ApplianceError(
            f"the database does not start from its backup: {postgres.last_words(said)}",
            f"see {LOG}; or try another backup: appliance backup list",
        ) from None


def _lives(machine: Installation) -> bool:
    """Return whether the server has not exited since its start; systemd may still be "activating" it while it replays.

    A server that exits is restarted over and over, so the restart count decides.
    """
    seen = systemd.unit_properties(machine.runner, UNIT, "ActiveState", "NRestarts")
    return seen["ActiveState"] in ("active", "activating") and seen["NRestarts"] == "0"


def earlier(until: datetime | None, record: SnapshotManifest) -> datetime | None:
    """Return `until` if it is before the record's restore point, else None."""
    return until if until and until.timestamp() < record.taken else None


def plan_target(
    record: SnapshotManifest, backups: list[ClusterBackup], until: datetime | None
) -> tuple[str, tuple[str, ...]]:
    """Return the label of the backup to start from, and pgBackRest's options for the recovery target.

    Raises RefusedError if no backup is older than `until`.
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
    """Return pgBackRest's option to stay on `timeline` rather than follow one of an earlier attempt; none for 0."""
    return (f"--target-timeline={timeline}",) if timeline else ()


def _clear_unknown(cluster: Path) -> None:
    """Empty the cluster if a restore was interrupted so early that pgBackRest would refuse to continue."""
    if not any((cluster / sign).exists() for sign in SIGNS):
        folders.empty(cluster)
