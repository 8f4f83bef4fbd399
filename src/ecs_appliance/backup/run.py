"""A backup: the database's moment first, then one snapshot of it and of every document that it names."""

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
from ecs_appliance.backup.plan import (
    TAG,
    check_room,
    due_kind,
    excluded_paths,
    find_gap,
    policy_of,
    saved_paths,
)
from ecs_appliance.backup.record import Record
from ecs_appliance.backup.target import adopt, local_folder, reached
from ecs_appliance.core.errors import ApplianceError, BusyError, RefusedError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import CommandError, ProcessError, Runner
from ecs_appliance.core.tags import Marks
from ecs_appliance.env.model import Env
from ecs_appliance.host import dumps, postgres, tables, wal
from ecs_appliance.host.pgbackrest import Archive, Backup, Kind, archived, missing_segments
from ecs_appliance.host.postgres import Server
from ecs_appliance.host.restic import Made, Note, Repository

log = logging.getLogger(__name__)

# The application's table of what is in the vault.
DOCUMENTS = "documents_document"
# What a rehearsal compares row by row: documents and people.
SUMMED = (DOCUMENTS, "auth_user")
ARCHIVE_SECONDS = 900
LOCK_WAIT = 900
DUMP = "ecs.pgdump"
GZIP_SECONDS = 3 * 3600
# The parts that the repository's data is read in, one a night.
PARTS = 28
# How restic names the files of the repository that are not what they were.
DAMAGED = re.compile(r"repair packs ([0-9a-f ]+)")


class DamagedError(ApplianceError):
    """What is stored is not what was written; `files` of the repository at the least."""

    def __init__(self, message: str, hint: str, *, files: int) -> None:
        super().__init__(message, hint)
        self.files = files


@dataclass(frozen=True)
class Report:
    """What a backup did; `removed` are the ids of snapshots that retention took away.

    `stock` is what was found in the vault. `gap` is the time without backups before the newest, which made it remove
    none. `undumped` and `uncompared` are why the database was not dumped, and why its tables were not summed up, where
    they should have been.
    """

    made: Made
    record: Record
    database: Kind | None
    seconds: float
    stock: Stock
    removed: tuple[str, ...] = ()
    gap: timedelta | None = None
    undumped: str = ""
    uncompared: str = ""


@dataclass(frozen=True)
class Machine:
    """What is backed up: the machine below `paths` with the database server `server`, as `env` describes it."""

    paths: Paths
    runner: Runner
    env: Env
    server: Server = field(default_factory=Server)

    @property
    def archive(self) -> Archive:
        return Archive(self.runner)


def run_backup(machine: Machine, *, nightly: bool, note: Note) -> Report:
    """Make a snapshot; `nightly` also dumps the database, removes what retention does not keep, and checks a part.

    The caller holds the lock of backups. Raises RefusedError where it must not be made, ApplianceError where it failed.
    """
    began = time.monotonic()
    check_source(machine)
    with reached(machine.paths, machine.runner, machine.env.appliance.backup) as repository:
        return _run(machine, repository, began, nightly=nightly, note=note)


def _run(machine: Machine, repository: Repository, began: float, *, nightly: bool, note: Note) -> Report:
    check_writable(repository)
    fresh = adopt(machine.paths, repository)
    repository.unlock()
    kind = prepare_database(machine, nightly=nightly)
    undumped = try_to_dump(machine) if nightly else ""
    check_target(machine, repository, fresh=fresh)
    stock = take_stock(machine.paths, partial(document_rows, machine), reread=nightly)
    record, uncompared = take_moment(machine, stock.files)
    made = save(machine, repository, note)
    removed, gap = maintain(machine, repository) if nightly else ((), None)
    return Report(made, record, kind, time.monotonic() - began, stock, removed, gap, undumped, uncompared)


def check_source(machine: Machine) -> None:
    """Raise RefusedError where there is no database, or no vault though the database has documents."""
    database = machine.env.ecs.database
    if not postgres.database_exists(machine.server, database):
        raise RefusedError(f"there is no database {database}: nothing is backed up", "create it, or recover")
    if not has_documents(machine.paths.vault) and _names_documents(machine, database):
        raise RefusedError(
            f"{machine.paths.vault} is empty, and the database has documents: nothing is backed up",
            "is the volume of /data mounted? else recover",
        )


def _names_documents(machine: Machine, database: str) -> bool:
    """Whether the database is known to have documents. One that cannot be asked shall cost no backup."""
    try:
        return tables.has_rows(machine.server, database, DOCUMENTS)
    except ApplianceError as error:
        log.error("whether the database has documents is not known: %s", error.message)
        return False


def document_rows(machine: Machine) -> set[str] | None:
    """Return the documents that the database has, by their names in the vault; None where it cannot be asked."""
    try:
        rows = tables.named_rows(machine.server, machine.env.ecs.database, DOCUMENTS)
    except ApplianceError as error:
        log.error("which documents the database has is not known: %s", error.message)
        return None
    return {name for uuid in rows if NAME.fullmatch(name := uuid.replace("-", ""))}


def count_files(folder: Path) -> int:
    """How many whole files lie below `folder`."""
    return sum(not name.endswith(".part") for _, _, files in os.walk(folder) for name in files)


def has_documents(vault: Path) -> bool:
    """Whether there is any file in `vault`."""
    return any(files for _, _, files in os.walk(vault))


def prepare_database(machine: Machine, *, nightly: bool) -> Kind | None:
    """Have a backup of the database to start from; returns the kind of the one made, None where none was due."""
    archive = machine.archive
    archive.ensure(postgres.system_number(machine.server))
    backups = archive.backups()
    kind = due_kind(backups, time.time(), nightly=nightly)
    if kind is None and lacks_log(machine, backups[-1]):
        kind = "diff"
    if kind is not None:
        # Compressed, it takes a half at the very most.
        free = shutil.disk_usage(machine.paths.archive).free
        check_room(postgres.database_size(machine.server) // 2, free, str(machine.paths.data))
        log.info("backing up the database: %s", kind)
        archive.save(kind)
    return kind


def try_to_dump(machine: Machine) -> str:
    """Have the dump of today, or return why there is none.

    What the application's role has made of its database shall cost no backup: the dump is not what is recovered from.
    """
    try:
        dump_database(machine)
    except ProcessError as error:
        if not postgres.answers(machine.server):
            raise
        log.error("the database is not dumped: %s", error.message)
        return error.message
    return ""


def dump_database(machine: Machine) -> None:
    """Have ecs-pgdump/ecs.pgdump.gz of today."""
    folder, database = machine.paths.pgdump, machine.env.ecs.database
    check_room(postgres.database_size(machine.server), shutil.disk_usage(folder).free, str(folder))
    # Elsewhere than in the folder of the account app, which could lead root to another file.
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
    """Raise RefusedError where the target is a read-only folder: restic would try for a quarter of an hour."""
    folder = local_folder(repository)
    if folder is not None and folder.is_dir() and not os.access(folder, os.W_OK):
        raise RefusedError(f"{folder} is read-only", "look why: findmnt, journalctl -k; then appliance backup run")


def check_target(machine: Machine, repository: Repository, *, fresh: bool) -> None:
    """Raise RefusedError where a folder of this machine would become full."""
    folder = local_folder(repository)
    if folder is None:
        return
    needed = sum(map(size_of, saved_paths(machine.paths))) if fresh else 0
    check_room(needed, shutil.disk_usage(folder).free, str(folder))


def size_of(folder: Path) -> int:
    """Bytes of the files below `folder`."""
    total = 0
    for base, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(base) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def take_moment(machine: Machine, documents: int) -> tuple[Record, str]:
    """A restore point of the database whose log is archived, and the record of it and `documents` for the snapshot.

    Returns that, and why tables could not be summed up; empty where they were, or were busy.
    No start and no update runs meanwhile: the point is never in the midst of a migration.
    """
    base = machine.archive.backups()[-1]
    taken = time.time()
    record = Record(
        point=f"ecs-{taken:.3f}",
        label=base.label,
        database=machine.env.ecs.database,
        taken=taken,
        documents=documents,
        application=Marks(machine.paths.tags).get("last_running_ecs") or "",
        domain=machine.env.appliance.domain,
    )
    with locked(machine.paths.lock, "backup", wait=LOCK_WAIT):
        point = wal.make_restore_point(machine.server, record.point, record.database, SUMMED)
        record = replace(record, sums=point.sums, timeline=int(point.segment[:8], 16))
        record.save(machine.paths)
    wal.wait_archived(machine.server, point.segment, deadline=ARCHIVE_SECONDS)
    if lacks_log(machine, base, point.segment):
        raise ApplianceError("a part of the database's log was not archived", "appliance backup run starts anew")
    if point.trouble:
        log.error("tables are not summed up, so no rehearsal compares them: %s", point.trouble)
    return record, point.trouble


def lacks_log(machine: Machine, base: Backup, last: str = "") -> bool:
    """Whether the log from backup `base` to segment `last`, or to the newest there is, has a gap.

    pgBackRest makes one rather than fill the disk; nothing after it can be restored from `base`.
    """
    segments = archived(machine.paths.archive, base.log)
    newest = max(segments, key=lambda name: name[8:], default=base.first)
    last = last or newest
    # A log that ends before the backup is of another server, or of a history that was left.
    return last[8:] < base.first[8:] or bool(missing_segments(segments, base.first, last))


def save(machine: Machine, repository: Repository, note: Note) -> Made:
    """The snapshot. Raises ApplianceError where it lacks a file that is there."""
    made = repository.save(
        saved_paths(machine.paths),
        host=machine.env.appliance.domain,
        tags=[TAG],
        excludes=excluded_paths(machine.paths),
        note=note,
    )
    if made.unread:
        raise ApplianceError(
            f"backup {made.id[:8]} lacks {len(made.unread)} files that could not be read: {', '.join(made.unread[:5])}",
            "look at the disk: journalctl -k; then appliance backup run",
        )
    return made


def maintain(machine: Machine, repository: Repository) -> tuple[tuple[str, ...], timedelta | None]:
    """Remove what retention does not keep and read a part of what is stored.

    Returns the ids removed, and the gap between backups for which none was: a clock that jumped shall cost nothing.
    """
    settings = machine.env.appliance.backup
    gap = None
    if not settings.append_only:
        gap = find_gap(repository.snapshots(), settings.keep_floor_days, datetime.now(UTC))
    removed = () if settings.append_only or gap else _forget(machine, repository)
    check_repository(repository, subset=f"{date.today().toordinal() % PARTS + 1}/{PARTS}")
    return removed, gap


def _forget(machine: Machine, repository: Repository) -> tuple[str, ...]:
    """What a rehearsal reads is not taken from under it: then the next night removes."""
    try:
        with locked(machine.paths.rehearsal_lock, "remove old backups"):
            return repository.forget(policy_of(machine.env.appliance.backup))
    except BusyError as error:
        log.info("no backup is removed this time: %s", error.message)
        return ()


def check_repository(repository: Repository, *, subset: str) -> None:
    """Raise DamagedError where the repository is damaged, as far as `subset` of its data tells."""
    try:
        repository.check(subset=subset)
    except CommandError as error:
        log.info("%s", error.output or error.message)
        found = DAMAGED.search(error.output)
        files = len(found[1].split()) if found else 0
        what = f": {files} of its files are not what they were" if found else ""
        raise DamagedError(
            f"the backups at {repository.shown} are damaged{what}",
            "keep what there is, name an empty target in appliance.backup.url, then: appliance backup check --all",
            files=max(files, 1),
        ) from None
