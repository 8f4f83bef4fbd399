"""Makes a backup: a restore point of the database first, then a snapshot of it and of all its documents."""

import logging
import os
import re
import shutil
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from ecs_appliance.backup.documents import NAME, Stock, take_stock
from ecs_appliance.backup.manifest import SnapshotManifest
from ecs_appliance.backup.plan import (
    TAG,
    check_room,
    due_kind,
    excluded_paths,
    find_gap,
    policy_of,
    saved_paths,
)
from ecs_appliance.backup.target import claim, connected, local_folder
from ecs_appliance.core.errors import ApplianceError, BusyError, RefusedError, as_failure
from ecs_appliance.core.locks import locked
from ecs_appliance.core.markers import MarkerFolder
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import CommandError, ProcessError, Runner
from ecs_appliance.env.model import Env
from ecs_appliance.host import dumps, postgres, tables, wal
from ecs_appliance.host.pgbackrest import BackupKind, ClusterBackup, WalArchive, archived, missing_segments
from ecs_appliance.host.postgres import Server
from ecs_appliance.host.restic import Made, OnProgress, Repository

log = logging.getLogger(__name__)

# The application's table of the documents in the vault.
DOCUMENTS = "documents_document"
# The tables that a rehearsal compares row by row: documents and users.
SUMMED = (DOCUMENTS, "auth_user")
ARCHIVE_SECONDS = 900
LOCK_WAIT = 900
DUMP = "ecs.pgdump"
GZIP_SECONDS = 3 * 3600
# The repository's data is verified in this many parts, one per night.
PARTS = 28
# How restic lists damaged files of the repository.
DAMAGED = re.compile(r"repair packs ([0-9a-f ]+)")


class DamagedBackupError(ApplianceError):
    """Stored data is damaged; `files` is the minimum number of damaged files in the repository."""

    def __init__(self, message: str, hint: str, *, files: int) -> None:
        super().__init__(message, hint)
        self.files = files


@dataclass(frozen=True)
class BackupReport:
    """Result of a backup; `removed` are the ids of the snapshots that retention removed.

    `stock` is what was found in the vault. `gap` is the time without backups before the newest ones; if there is one,
    nothing was removed. `undumped` and `uncompared` say why the database was not dumped and its tables not summed up,
    empty if they were or did not have to be.
    """

    made: Made
    record: SnapshotManifest
    database: BackupKind | None
    seconds: float
    stock: Stock
    removed: tuple[str, ...] = ()
    gap: timedelta | None = None
    undumped: str = ""
    uncompared: str = ""


@dataclass(frozen=True)
class Installation:
    """The machine to back up: `paths`, its database server `server`, and its environment `env`."""

    paths: Paths
    runner: Runner
    env: Env
    server: Server = field(default_factory=Server)

    @property
    def archive(self) -> WalArchive:
        return WalArchive(self.runner)


def run_backup(machine: Installation, *, nightly: bool, on_progress: OnProgress) -> BackupReport:
    """Make a snapshot; if `nightly`, also dump the database, apply retention and verify a part of the repository.

    The caller holds the backup lock. Raises RefusedError if no backup may be made, ApplianceError if it failed.
    """
    began = time.monotonic()
    check_source(machine)
    with connected(machine.paths, machine.runner, machine.env.appliance.backup) as repository:
        return _run(machine, repository, began, nightly=nightly, on_progress=on_progress)


def _run(
    machine: Installation, repository: Repository, began: float, *, nightly: bool, on_progress: OnProgress
) -> BackupReport:
    check_writable(repository)
    fresh = claim(machine.paths, repository)
    repository.unlock()
    kind = prepare_database(machine, nightly=nightly)
    undumped = try_to_dump(machine) if nightly else ""
    check_target(machine, repository, fresh=fresh)
    stock = take_stock(machine.paths, partial(document_rows, machine), reread=nightly)
    record, uncompared = take_moment(machine, stock.files)
    made = save(machine, repository, on_progress)
    removed, gap = maintain(machine, repository) if nightly else ((), None)
    return BackupReport(made, record, kind, time.monotonic() - began, stock, removed, gap, undumped, uncompared)


def check_source(machine: Installation) -> None:
    """Raise RefusedError if there is no database, or if the vault is empty but the database has documents."""
    database = machine.env.ecs.database
    if not postgres.database_exists(machine.server, database):
        raise RefusedError(
            f"there is no database {database}, so nothing is backed up", "create it, or restore it: appliance recover"
        )
    if not has_documents(machine.paths.vault) and _names_documents(machine, database):
        raise RefusedError(
            f"{machine.paths.vault} is empty, but the database has documents, so nothing is backed up",
            "is the volume of /data mounted? If so, restore the documents: appliance recover",
        )


def _names_documents(machine: Installation, database: str) -> bool:
    """Return whether the database is known to have documents. A failing query does not prevent the backup."""
    try:
        return tables.has_rows(machine.server, database, DOCUMENTS)
    except ApplianceError as error:
        log.error("it is unknown whether the database has documents: %s", error.message)
        return False


def document_rows(machine: Installation) -> set[str] | None:
    """Return the vault names of the documents in the database; None if they cannot be queried."""
    try:
        rows = tables.named_rows(machine.server, machine.env.ecs.database, DOCUMENTS)
    except ApplianceError as error:
        log.error("it is unknown which documents the database has: %s", error.message)
        return None
    return {name for uuid in rows if NAME.fullmatch(name := uuid.replace("-", ""))}


def count_files(folder: Path) -> int:
    """Return the number of complete files below `folder`."""
    return sum(not name.endswith(".part") for _, _, files in os.walk(folder) for name in files)


def has_documents(vault: Path) -> bool:
    """Return whether `vault` contains any file."""
    return any(files for _, _, files in os.walk(vault))


def prepare_database(machine: Installation, *, nightly: bool) -> BackupKind | None:
    """Ensure there is a usable backup of the database; return the kind of the one made, None if none was due."""
    archive = machine.archive
    archive.ensure(postgres.system_number(machine.server))
    backups = archive.backups()
    kind = due_kind(backups, time.time(), nightly=nightly)
    if kind is None and lacks_log(machine, backups[-1]):
        kind = "diff"
    if kind is not None:
        # Compressed, the backup is at most half the size.
        free = shutil.disk_usage(machine.paths.archive).free
        check_room(postgres.database_size(machine.server) // 2, free, str(machine.paths.data))
        log.info("backing up the database: %s", kind)
        archive.save(kind)
    return kind


def try_to_dump(machine: Installation) -> str:
    """Write today's dump; return why it failed, or an empty string.

    A recovery does not need the dump, so neither a disk that cannot take it nor what the application's role does to its
    database must prevent a backup. Raises as `dump_database` does if the database server is down.
    """
    try:
        dump_database(machine)
    except (ProcessError, RefusedError, OSError) as error:
        if not postgres.answers(machine.server):
            raise
        reason = as_failure(error).message
        log.error("the database was not dumped: %s", reason)
        return reason
    return ""


def dump_database(machine: Installation) -> None:
    """Write today's dump to ecs-pgdump/ecs.pgdump.gz. Raises RefusedError if it may not fit."""
    folder, database = machine.paths.pgdump, machine.env.ecs.database
    check_room(postgres.database_size(machine.server), shutil.disk_usage(folder).free, str(folder))
    # Not in the folder of the account app, which could redirect root to another file.
    work = folder.with_name(f".{folder.name}.nightly")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        dumps.dump(machine.runner, machine.server, database, work / DUMP)
        machine.runner.run(["gzip", "--rsyncable", work / DUMP], timeout=GZIP_SECONDS)
        owner = folder.stat()
        packed = work / f"{DUMP}.gz"
        os.chown(packed, owner.st_uid, owner.st_gid)
        packed.replace(folder / packed.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_writable(repository: Repository) -> None:
    """Raise RefusedError if the target is a read-only folder; restic would retry for a quarter of an hour."""
    folder = local_folder(repository)
    if folder is not None and folder.is_dir() and not os.access(folder, os.W_OK):
        raise RefusedError(f"{folder} is read-only", "find out why: findmnt, journalctl -k; then: appliance backup run")


def check_target(machine: Installation, repository: Repository, *, fresh: bool) -> None:
    """Raise RefusedError if the backup would fill up a local target."""
    folder = local_folder(repository)
    if folder is None:
        return
    needed = sum(map(size_of, saved_paths(machine.paths))) if fresh else 0
    check_room(needed, shutil.disk_usage(folder).free, str(folder))


def size_of(folder: Path) -> int:
    """Return the total size in bytes of the files below `folder`."""
    total = 0
    for base, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(base) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def take_moment(machine: Installation, documents: int) -> tuple[SnapshotManifest, str]:
    """Create a restore point, save its record for the snapshot, and wait until its WAL is archived.

    Returns the record and why tables could not be summed up: empty if they were, or were busy. The lock keeps starts
    and updates from running meanwhile, so the point is never within a migration. Raises ApplianceError for a gap.
    """
    base = machine.archive.backups()[-1]
    taken = time.time()
    record = SnapshotManifest(
        point=f"ecs-{taken:.3f}",
        label=base.label,
        database=machine.env.ecs.database,
        taken=taken,
        documents=documents,
        application=MarkerFolder(machine.paths.tags).get("last_running_ecs") or "",
        domain=machine.env.appliance.domain,
    )
    with locked(machine.paths.lock, "backup", wait=LOCK_WAIT):
        point = wal.make_restore_point(machine.server, record.point, record.database, SUMMED)
        record = replace(record, sums=point.sums, timeline=int(point.segment[:8], 16))
        record.save(machine.paths)
    wal.wait_archived(machine.server, point.segment, deadline=ARCHIVE_SECONDS)
    if lacks_log(machine, base, point.segment):
        raise ApplianceError("part of the database's WAL was not archived", "start over: appliance backup run")
    if point.trouble:
        log.error("no table digests were recorded, so a rehearsal cannot compare the tables: %s", point.trouble)
    return record, point.trouble


def lacks_log(machine: Installation, base: ClusterBackup, last: str = "") -> bool:
    """Return whether the WAL from backup `base` to segment `last`, by default the newest, has a gap.

    pgBackRest drops WAL rather than fill the disk; nothing after a gap can be restored from `base`.
    """
    segments = archived(machine.paths.archive, base.log)
    newest = max(segments, key=lambda name: name[8:], default=base.first)
    last = last or newest
    # WAL that ends before the backup is from another server or an abandoned timeline.
    return last[8:] < base.first[8:] or bool(missing_segments(segments, base.first, last))


def save(machine: Installation, repository: Repository, on_progress: OnProgress) -> Made:
    """Make the snapshot. Raises ApplianceError if it lacks files that could not be read."""
    made = repository.save(
        saved_paths(machine.paths),
        host=machine.env.appliance.domain,
        tags=[TAG],
        excludes=excluded_paths(machine.paths),
        on_progress=on_progress,
    )
    if made.unread:
        raise ApplianceError(
            f"backup {made.id[:8]} lacks {len(made.unread)} files that could not be read: {', '.join(made.unread[:5])}",
            "check the disk: journalctl -k; then: appliance backup run",
        )
    return made


def maintain(machine: Installation, repository: Repository) -> tuple[tuple[str, ...], timedelta | None]:
    """Apply retention and verify a part of the repository.

    Returns the ids removed, and the gap between backups, if any: then nothing is removed, as the clock may have jumped.
    """
    settings = machine.env.appliance.backup
    gap = None
    if not settings.append_only:
        gap = find_gap(repository.snapshots(), settings.keep_floor_days, datetime.now(UTC))
    removed = () if settings.append_only or gap else _forget(machine, repository)
    check_repository(repository, subset=f"{date.today().toordinal() % PARTS + 1}/{PARTS}")
    return removed, gap


def _forget(machine: Installation, repository: Repository) -> tuple[str, ...]:
    """Apply retention, unless a rehearsal is reading: then it waits for the next night."""
    try:
        with locked(machine.paths.rehearsal_lock, "remove old backups"):
            return repository.forget(policy_of(machine.env.appliance.backup))
    except BusyError as error:
        log.info("no backups are removed this time: %s", error.message)
        return ()


def check_repository(repository: Repository, *, subset: str) -> None:
    """Raise DamagedBackupError if the repository or the verified `subset` of its data is damaged."""
    try:
        repository.check(subset=subset)
    except CommandError as error:
        log.info("%s", error.output or error.message)
        found = DAMAGED.search(error.output)
        files = len(found[1].split()) if found else 0
        what = f": {files} of its files have changed" if found else ""
        raise DamagedBackupError(
            f"the backups at {repository.shown} are damaged{what}",
            "keep them, set appliance.backup.url to an empty target, then: appliance backup check --all",
            files=max(files, 1),
        ) from None
