"""Rehearses a recovery next to the running site: restores a snapshot, replays its database, compares, removes all."""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from ecs_appliance.backup.comparison import Documents
from ecs_appliance.backup.manifest import SnapshotManifest, read_manifest
from ecs_appliance.backup.plan import check_room
from ecs_appliance.backup.restore import Restored, restore_files
from ecs_appliance.backup.run import SUMMED, Installation, count_files
from ecs_appliance.backup.temporary_server import ACCOUNT, TemporaryServer
from ecs_appliance.core.errors import ApplianceError, BusyError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.core.steps import Steps
from ecs_appliance.host import docker, postgres, tables
from ecs_appliance.host.restic import OnProgress, Repository, Snapshot
from ecs_appliance.host.tables import TableChecksum

log = logging.getLogger(__name__)

CONTAINER = "appliance-rehearsal"
# Of systemd and docker: a rehearsal yields resources to the site.
SLICE = "rehearsal.slice"
LONG_SECONDS = 24 * 3600
FILES, DATABASE, COMPARISON = "restoring files", "restoring the database", "comparing documents and database"
WEEK = 7 * 86400


@dataclass(frozen=True)
class RehearsalFindings:
    """What was compared, and what is `wrong`, one line per problem; if none, the backup can be recovered from.

    `record` is None if the rehearsal ended before the comparison. `compared` are the tables that are identical row by
    row, `documents` the comparison of documents; if that is None, `uncompared` says why.
    """

    record: SnapshotManifest | None = None
    compared: Mapping[str, TableChecksum] = field(default_factory=dict)
    documents: Documents | None = None
    uncompared: str = ""
    files: int = 0
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class RehearsalStage:
    """Where a rehearsal runs: the restored data below `data`, and its own database server."""

    folder: Path
    runner: Runner

    @property
    def data(self) -> Paths:
        """The restored data, as paths of a machine."""
        return Paths(self.folder / "machine")

    @property
    def scratch(self) -> TemporaryServer:
        place = (f"Slice={SLICE}", "Nice=19", "IOSchedulingClass=idle")
        return TemporaryServer(
            "rehearsal", self.folder / "postgresql", self.data.archive, self.runner, properties=place
        )

    def clear(self) -> None:
        """Remove its container, processes and files."""
        docker.remove_container(self.runner, CONTAINER)
        self.scratch.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


def stages(paths: Paths, runner: Runner) -> list[RehearsalStage]:
    """Return the places where a rehearsal may run, the one with the most free space first."""
    tops = sorted((paths.volatile, paths.data), key=lambda top: -shutil.disk_usage(top).free)
    return [RehearsalStage(top / ".rehearsal", runner) for top in tops]


def clear_stages(paths: Paths, runner: Runner) -> None:
    """Remove what an interrupted rehearsal left; one that is running is not touched."""
    try:
        with locked(paths.rehearsal_lock, "remove the remains of a rehearsal"):
            for stage in stages(paths, runner):
                if stage.folder.exists():
                    stage.clear()
    except BusyError as error:
        log.info("%s", error.message)


@contextmanager
def open_stage(paths: Paths, runner: Runner, size: int) -> Iterator[RehearsalStage]:
    """Yield a place for a snapshot of `size` bytes and its database; cleared before, for a killed run, and after.

    Raises RefusedError if there is not enough room.
    """
    found = stages(paths, runner)
    for stage in found:
        stage.clear()
    stage = found[0]
    # As in a recovery: the database is larger than its compressed backup.
    check_room(2 * size, shutil.disk_usage(stage.folder.parent).free, f"{stage.folder.parent}, for a rehearsal,")
    try:
        for folder in (stage.folder, stage.data.root, stage.data.data):
            folder.mkdir(mode=0o700)
        yield stage
    finally:
        stage.clear()


Ask = Callable[[RehearsalStage, SnapshotManifest], Documents]


def rehearse(
    machine: Installation,
    repository: Repository,
    snapshot: Snapshot,
    *,
    stage: RehearsalStage,
    ask: Ask,
    steps: Steps,
    on_progress: OnProgress,
) -> RehearsalFindings:
    """Recover `snapshot` on `stage` and compare it with its record.

    `ask` has the application compare the documents there. An error that would stop a recovery is a finding, too.
    """
    try:
        restored, record = _restore_files(
            machine, repository, snapshot, stage=stage, steps=steps, on_progress=on_progress
        )
        with steps.step(DATABASE):
            server = _restore_database(stage, record)
        with steps.step(COMPARISON):
            found = compare(
                record, tables.checksum_tables(server, record.database, SUMMED), stage.data.vault, restored.lost
            )
            found = replace(found, wrong=(*found.wrong, *restored.odd))
            return with_documents(found, partial(ask, stage, record))
    except ApplianceError as error:
        log.info("%s", error.message)
        return RehearsalFindings(wrong=(error.message,))


def _restore_files(
    machine: Installation,
    repository: Repository,
    snapshot: Snapshot,
    *,
    stage: RehearsalStage,
    steps: Steps,
    on_progress: OnProgress,
) -> tuple[Restored, SnapshotManifest]:
    away = replace(machine, paths=stage.data)
    with steps.step(FILES):
        restored = restore_files(away, repository, snapshot.id, on_progress, source=machine.paths.data, reader=ACCOUNT)
    return restored, read_manifest(stage.data)


def _restore_database(stage: RehearsalStage, record: SnapshotManifest) -> postgres.Server:
    scratch = stage.scratch
    scratch.prepare()
    scratch.archive.restore(record.label, ("--type=name", f"--target={record.point}"))
    server = scratch.start(deadline=LONG_SECONDS)
    if not postgres.database_exists(server, record.database):
        raise ApplianceError(
            f"the backup has no database {record.database}", "choose another backup: appliance backup list"
        )
    return server


def compare(
    record: SnapshotManifest, now: Mapping[str, TableChecksum], vault: Path, lost: Sequence[str]
) -> RehearsalFindings:
    """Compare the tables `now` and the number of files in `vault` with `record`; `lost` could not be restored."""
    wrong = []
    for table, then in record.sums.items():
        found = now.get(table)
        if found is None:
            wrong.append(f"table {table} is missing")
        elif found != then:
            wrong.append(f"table {table} differs from the backup's record: {found.rows} rows now, {then.rows} then")
    wrong += [f"document {name} is damaged in the backup" for name in lost]
    files = count_files(vault)
    if files < record.documents:
        wrong.append(f"the vault has {files} files, but had {record.documents} when it was backed up")
    same = {table: each for table, each in record.sums.items() if now.get(table) == each}
    return RehearsalFindings(record, compared=same, files=files, wrong=tuple(wrong))


def with_documents(found: RehearsalFindings, ask: Callable[[], Documents]) -> RehearsalFindings:
    """Return `found` with the result of `ask`. If it fails, that is a finding, and the others are kept."""
    try:
        documents = ask()
    except ApplianceError as error:
        reason = " ".join(error.message.split())
        return replace(found, uncompared=reason, wrong=(*found.wrong, f"documents were not compared: {reason}"))
    return replace(found, documents=documents, wrong=(*found.wrong, *documents.wrong()))


def reached_rpo(taken: Sequence[float], now: float) -> float:
    """Return the longest time between two of the backups `taken`, or since the last, within the last week, in seconds.

    It is the most work that could have been lost. `taken` are Unix seconds, oldest first.
    """
    moments = [*taken, now]
    gaps = [later - earlier for earlier, later in pairwise(moments) if later > now - WEEK]
    return max(gaps, default=0.0)
