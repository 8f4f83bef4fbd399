"""rewind: return only the database to an earlier time; documents are kept, and the current database is moved aside."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.backup import rewind as work
from ecs_appliance.backup.comparison import Documents
from ecs_appliance.backup.progress import Rewind, rewind_file
from ecs_appliance.backup.restore import name_aside
from ecs_appliance.backup.rewind import Preview
from ecs_appliance.backup.run import Installation
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.steps import logged
from ecs_appliance.host import postgres, systemd
from ecs_appliance.host.cluster import UNIT as DATABASE_UNIT
from ecs_appliance.lifecycle.backup import open_machine
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.recover import UNIT, start_site

log = logging.getLogger(__name__)

LOCK_WAIT = 900


@dataclass(frozen=True)
class RewindReport:
    """A rewind to `moment` (Unix seconds): the previous cluster is in `kept`, `documents` were compared afterwards."""

    moment: float
    kept: str
    documents: Documents
    seconds: float


def look(context: Context, moment: float) -> Preview:
    """Return what a rewind to `moment` (Unix seconds) would do; the site runs on. Raises RefusedError if impossible."""
    with locked(context.paths.backup_lock, "rewind", wait=LOCK_WAIT):
        _check_nothing_else(context)
        if rewind_file(context.paths).read():
            raise RefusedError("a rewind has already begun", "finish it first: appliance rewind --yes")
        with logged("previewing the database at that time"):
            return work.preview(open_machine(context), moment, time.time())


def rewind(context: Context, moment: float | None) -> RewindReport:
    """Rewind to `moment` (Unix seconds), or resume the interrupted rewind (None); at the end the site is up.

    Raises RefusedError, with nothing touched, if it is impossible; ApplianceError if documents are missing afterwards.
    """
    began = time.monotonic()
    machine = open_machine(context)
    with locked(context.paths.backup_lock, "rewind", wait=LOCK_WAIT):
        with locked(context.paths.lock, "rewind", wait=LOCK_WAIT):
            _check_nothing_else(context)
            state = rewind_file(context.paths).read()
            if state and moment not in (None, state.moment):
                raise RefusedError(
                    "a rewind to another time has not finished",
                    "finish it first: appliance rewind --yes; then start this one",
                )
            state = state or _begin(context, machine, moment)
            state = _go(context, machine, state)
        documents = start_site(context)
    rewind_file(context.paths).clear()
    wrong = [f"\n  {line}" for line in documents.wrong()]
    if wrong:
        raise ApplianceError(
            f"the database is restored, but some of its documents are missing, damaged or unreadable:{''.join(wrong)}",
            "restore those that a backup has: appliance backup restore-document ID",
        )
    return RewindReport(state.moment, state.kept, documents, time.monotonic() - began)


def _check_nothing_else(context: Context) -> None:
    if context.paths.recovery.exists():
        raise RefusedError("a recovery has not finished", "to resume it: appliance recover --yes")


def _begin(context: Context, machine: Installation, moment: float | None) -> Rewind:
    if moment is None:
        raise RefusedError("no rewind to resume", "give the time to go back to: --to 'YYYY-MM-DD HH:MM'")
    backup, _, _ = work.check(machine, moment, time.time())
    timeline = postgres.timeline(machine.server)
    # Recorded before anything is renamed, so that an interruption right afterwards can be resumed.
    kept = str(name_aside(context.paths.cluster))
    state = Rewind(moment, backup.label, "aside", time.time(), kept=kept, timeline=timeline)
    rewind_file(context.paths).write(state)
    return state


def _go(context: Context, machine: Installation, state: Rewind) -> Rewind:
    context.page.show("recovering", next_step="wait; the terminal in which it was started shows more")
    systemd.stop(context.runner, UNIT)

    def aside(state: Rewind) -> Rewind:
        systemd.stop(context.runner, DATABASE_UNIT)
        work.keep_present(machine, Path(state.kept))
        log.info("moved aside: %s", state.kept)
        return state

    def database(state: Rewind) -> Rewind:
        systemd.stop(context.runner, DATABASE_UNIT)
        with logged("restoring the database"):
            work.go_back(machine, state)
        work.record_abandoned(context.paths, state, time.time())
        return state

    return rewind_file(context.paths).go_on(state, aside, database)
