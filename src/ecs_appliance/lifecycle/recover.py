"""recover: turn a machine with env.yml, and the backups that it names, into a running site."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from ecs_appliance.app.shell import in_web
from ecs_appliance.backup import restore
from ecs_appliance.backup.comparison import Documents
from ecs_appliance.backup.predecessor import predecessor_at
from ecs_appliance.backup.progress import Recovery, recovery_file
from ecs_appliance.backup.recovery_source import RecoverySource
from ecs_appliance.backup.run import Installation
from ecs_appliance.backup.snapshots import Snapshots
from ecs_appliance.backup.target import connected, find_repository, local_folder
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.runner import ProcessError
from ecs_appliance.core.steps import logged
from ecs_appliance.host import systemd
from ecs_appliance.host.restic import OnProgress, Repository, Snapshot
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.converging import converge_machine
from ecs_appliance.lifecycle.documents import compare_documents
from ecs_appliance.lifecycle.prepare_env import find_env
from ecs_appliance.lifecycle.storage import prepare_storage

log = logging.getLogger(__name__)

UNIT = "appliance.service"
LOCK_WAIT = 900
# Includes building the images.
START_SECONDS = 4 * 3600
CHECK_SECONDS = 6 * 3600


@dataclass(frozen=True)
class RecoveryRequest:
    """What to recover: the snapshot `snapshot`, the point in time `until`, or by default the latest.

    `aside` moves existing data out of the way, `start` starts the site at the end.
    """

    snapshot: str = ""
    until: datetime | None = None
    aside: bool = False
    start: bool = True


@dataclass(frozen=True)
class RecoveryPlan:
    """What a recovery would do; `obstacles` are the data in its way, `size` is in bytes."""

    snapshot: Snapshot
    size: int
    obstacles: tuple[str, ...]
    resumed: bool


@dataclass(frozen=True)
class RecoveryReport:
    """What a recovery did; `documents` is None if the site was not started.

    `taken` is the point in time of the data; `lost` are documents that are damaged in the backup. `advice` is what is
    left for the operator to do, if anything.
    """

    taken: datetime
    snapshot: str
    documents: Documents | None
    lost: tuple[str, ...]
    restored_seconds: float
    seconds: float
    advice: str = ""


def plan(context: Context, request: RecoveryRequest) -> RecoveryPlan:
    """Return what `recover` would do; change nothing."""
    recovery = recovery_file(context.paths).read()
    wanted = recovery.snapshot if recovery else request.snapshot
    with _opened(context) as (machine, source):
        snapshot = source.choose(wanted, request.until)
        obstacles = () if recovery else tuple(restore.find_data(machine))
        return RecoveryPlan(snapshot, source.check_space(snapshot), obstacles, recovery is not None)


def recover(context: Context, request: RecoveryRequest, *, on_progress: OnProgress = lambda _: None) -> RecoveryReport:
    """Recover, resuming an interrupted run; at the end the site is up and every document is there.

    Raises RefusedError if data are in the way or do not fit (nothing was touched), ApplianceError if a step failed, or
    if documents are missing, in which case the site runs.
    """
    began = time.monotonic()
    with locked(context.paths.backup_lock, "recovery", wait=LOCK_WAIT):
        if context.paths.rewind.exists():
            raise RefusedError("a rewind has not finished", "to resume it: appliance rewind --yes")
        with locked(context.paths.lock, "recovery", wait=LOCK_WAIT), _opened(context) as (machine, source):
            recovery = _resume(context, source, request) or _begin(context, machine, source, request)
            recovery = _restore(context, machine, source, recovery, on_progress)
            taken = source.taken(recovery.snapshot, _moment(recovery))
        restored = time.monotonic() - began
        documents = start_site(context) if request.start else None
    recovery_file(context.paths).clear()
    seconds = time.monotonic() - began
    report = RecoveryReport(taken, recovery.snapshot, documents, recovery.lost, restored, seconds, source.advice)
    _check(report, "; ".join(filter(None, (source.older, source.advice))))
    return report


@contextmanager
def _opened(context: Context) -> Iterator[tuple[Installation, RecoverySource]]:
    """Yield the machine and what is at its backup target: the appliance's backups or the predecessor's archive."""
    machine = Installation(context.paths, context.runner, find_env(context))
    with connected(context.paths, context.runner, machine.env.appliance.backup) as repository, ExitStack() as stack:
        yield machine, _source(machine, repository, stack)


def _source(machine: Installation, repository: Repository, stack: ExitStack) -> RecoverySource:
    """Return the backups in `repository`; a folder is searched for an archive first, a server only without backups."""
    remote = local_folder(repository) is None
    if remote and find_repository(repository):
        return Snapshots(machine, repository)
    if archive := stack.enter_context(predecessor_at(machine, repository)):
        return archive
    if remote or find_repository(repository) is None:
        raise RefusedError(f"there is no backup at {repository.shown}", "is appliance.backup.url the right one?")
    return Snapshots(machine, repository)


def _resume(context: Context, source: RecoverySource, request: RecoveryRequest) -> Recovery | None:
    """Return the interrupted recovery, if any; restart it if `request` names another and data is incomplete."""
    recovery = recovery_file(context.paths).read()
    if recovery is None:
        return None
    if recovery.snapshot.startswith(request.snapshot) and request.until in (None, _moment(recovery)):
        return recovery
    if recovery.phase == "start":
        raise RefusedError(
            f"the data of {recovery.snapshot[:8]} are already restored",
            "finish that recovery first: appliance recover --yes",
        )
    snapshot = source.choose(request.snapshot, request.until)
    return _remember(context, snapshot, request, "aside" if recovery.phase == "aside" else "files")


def _begin(context: Context, machine: Installation, source: RecoverySource, request: RecoveryRequest) -> Recovery:
    """Begin a recovery; check for every obstacle before touching anything."""
    snapshot = source.choose(request.snapshot, request.until)
    found = restore.find_data(machine)
    if found and not request.aside:
        raise RefusedError(
            f"this machine already has data: {', '.join(found)}",
            "to move them aside, deleting nothing, and recover: appliance recover --yes --move-aside",
        )
    source.check_space(snapshot)
    source.prepare(snapshot)
    log.info("recovering from %s of %s", snapshot.short, snapshot.time.astimezone().strftime("%Y-%m-%d %H:%M:%S"))
    with logged("preparing the machine"):
        prepare_storage(context.paths, context.runner, machine.env)
        converge_machine(context, machine.env)
    return _remember(context, snapshot, request, "aside")


def _remember(
    context: Context, snapshot: Snapshot, request: RecoveryRequest, phase: Literal["aside", "files"]
) -> Recovery:
    recovery = Recovery(snapshot.id, request.until.isoformat() if request.until else "", phase, time.time())
    recovery_file(context.paths).write(recovery)
    return recovery


def _restore(
    context: Context, machine: Installation, source: RecoverySource, recovery: Recovery, on_progress: OnProgress
) -> Recovery:
    context.page.show("recovering", next_step="wait; the terminal in which it was started shows more")
    systemd.stop(context.runner, UNIT)

    def aside(state: Recovery) -> Recovery:
        for moved in source.move_aside():
            log.info("moved aside: %s", moved)
        return state

    def files(state: Recovery) -> Recovery:
        with logged("restoring files"):
            lost = source.restore_files(state.snapshot, on_progress)
            # Give the site's folders their owners on this machine.
            prepare_storage(context.paths, context.runner, machine.env)
            # After a power cut, files that count as restored must not turn out empty.
            os.sync()
        return replace(state, lost=(*state.lost, *lost))

    def database(state: Recovery) -> Recovery:
        with logged("restoring the database"):
            source.restore_database(state.snapshot, _moment(state))
        return state

    return recovery_file(context.paths).go_on(recovery, aside, files, database)


def _moment(recovery: Recovery) -> datetime | None:
    return datetime.fromisoformat(recovery.until) if recovery.until else None


def start_site(context: Context) -> Documents:
    """Start the site and compare all its documents. Raises ApplianceError if either cannot be done."""
    with logged("starting the site"):
        context.runner.run(["systemctl", "reset-failed"], timeout=systemd.QUICK)
        try:
            systemd.restart(context.runner, UNIT, timeout=START_SECONDS)
        except ProcessError:
            shown = context.page.shown()
            raise ApplianceError(
                f"the data are restored, but the site did not start: {shown.error if shown else 'see its journal'}",
                "fix the cause, then: appliance recover --yes resumes from here",
            ) from None
    with logged("comparing documents and database"):
        try:
            return compare_documents(context, context.paths, in_web(context.runner, seconds=CHECK_SECONDS))
        except ApplianceError as error:
            raise ApplianceError(
                f"the data are restored and the site runs, but its documents were not compared: {error.message}",
                "fix the cause, then run the same command again: it resumes from here",
            ) from None


def _check(report: RecoveryReport, hint: str) -> None:
    wrong = report.documents.wrong() if report.documents else ()
    names = [name.rpartition("/")[2] for name in report.lost]
    lost = [f"document {name} is damaged in the backup" for name in names if name not in " ".join(wrong)]
    lines = [f"\n  {line}" for line in (*wrong, *lost)]
    if lines:
        raise ApplianceError(
            f"the data is restored, but documents are missing, damaged or unreadable: {len(lines)}{''.join(lines)}",
            hint,
        )
