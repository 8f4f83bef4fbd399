"""appliance-backup and appliance-backup-frequent: run, check, prune and read backups, and report on them."""

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from ecs_appliance.backup.plan import choose_snapshot, in_gb, policy_of
from ecs_appliance.backup.progress import is_unfinished
from ecs_appliance.backup.run import BackupReport, DamagedBackupError, Installation, check_repository, run_backup
from ecs_appliance.backup.target import connected, find_repository
from ecs_appliance.core.errors import ApplianceError, BusyError, NotRunningError, RefusedError, as_failure
from ecs_appliance.core.locks import locked
from ecs_appliance.env.formats import to_seconds
from ecs_appliance.host import postgres
from ecs_appliance.host.restic import OnProgress, Policy, Repository, Snapshot
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.documents import tell_of_documents
from ecs_appliance.lifecycle.prepare_env import active_env
from ecs_appliance.reporting.backups import read_backups, update_backups
from ecs_appliance.reporting.ping import ping

log = logging.getLogger(__name__)

# Separate topics: a successful frequent run must not clear a failed nightly one, nor a partial check an earlier damage.
TOPIC, NIGHTLY, MISSED, DAMAGED = "backup", "backup-nightly", "backup-missed", "backup-damaged"
GAP = "backup-gap"
PING = "backup-ping"
# About the database, whose contents the application's role controls.
ROWS, DUMP = "backup-rows", "backup-dump"
LOOK = "check what was changed: psql -U app, see the manual; then: appliance backup run --nightly"
EVERYTHING = "100%"
# The nightly run waits for a frequent one; frequent runs do not wait, but skip.
NIGHTLY_WAIT = 2 * 3600
PRUNE_WAIT = 900
MISSED_SECONDS = 32 * 3600


def back_up(context: Context, *, nightly: bool, wait: float = 0, on_progress: OnProgress | None = None) -> BackupReport:
    """Make and report a backup. Raises BusyError if another one runs after `wait` s, ApplianceError on failure."""
    machine = open_machine(context)
    settings = machine.env.appliance.backup
    with locked(context.paths.backup_lock, "backup", wait=wait):
        began = time.time()
        update_backups(context.paths, start=began, interval=to_seconds(settings.interval))
        with alerting_on_failure(context, NIGHTLY if nightly else TOPIC, began):
            report = run_backup(machine, nightly=nightly, on_progress=on_progress or _ignore_progress)
        _count(context, began, report, nightly=nightly)
    for topic in (TOPIC, MISSED, *([NIGHTLY] if nightly else [])):
        context.alerts.clear(topic)
    tell_of_documents(context, report.stock)
    _alert_rows(context, report.uncompared)
    if nightly:
        _alert_dump(context, report.undumped)
        _alert_gap(context, report.gap)
    _ping(context, settings.ping_url.get_secret_value(), report)
    return report


def _alert_rows(context: Context, reason: str) -> None:
    if not reason:
        context.alerts.clear(ROWS)
        return
    said = f"the backup was made, but the contents of the database could not be recorded for its rehearsal: {reason}"
    context.alerts.put(ROWS, "critical", said, LOOK)


def _alert_dump(context: Context, reason: str) -> None:
    if not reason:
        context.alerts.clear(DUMP)
        return
    context.alerts.put(DUMP, "critical", f"the backup was made, but without a dump of the database: {reason}", LOOK)


def _alert_gap(context: Context, gap: timedelta | None) -> None:
    if gap is None:
        context.alerts.clear(GAP)
        return
    context.alerts.put(
        GAP,
        "warning",
        f"there is a gap of {gap.days} days before the newest backups, so no old backups were removed",
        "if the machine was off, removal will resume automatically; otherwise its clock is wrong: timedatectl. To "
        "remove now: appliance backup prune",
    )


def _ping(context: Context, url: str, report: BackupReport) -> None:
    """Report the age of the newest backup proven recoverable to the external monitor at `url`."""
    if not url:
        context.alerts.clear(PING)
        return
    verified = read_backups(context.paths).verified
    age = "never" if verified is None else f"{max(0.0, time.time() - verified):.0f}"
    try:
        ping(url, {"backup": report.made.short, "verified_age_seconds": age})
    except ApplianceError as error:
        context.alerts.put(PING, "warning", error.message, error.hint)
        return
    context.alerts.clear(PING)


def summary(report: BackupReport) -> str:
    """Return a one-line summary of a backup."""
    made = report.made
    removed = f", {len(report.removed)} old ones removed" if report.removed else ""
    return (
        f"backup {made.short}: {made.files} files, {in_gb(made.size)}, {in_gb(made.added)} new, "
        f"in {report.seconds:.0f} s{removed}"
    )


def back_up_by_timer(context: Context, *, nightly: bool) -> None:
    """Run the units' backup, as `back_up`. That there is nothing to do, or another one runs, is not a failure."""
    reason = skip_reason(context)
    if reason:
        log.info("no backup made: %s", reason)
        return
    try:
        log.info("%s", summary(back_up(context, nightly=nightly, wait=NIGHTLY_WAIT if nightly else 0)))
    except BusyError as error:
        log.info("no backup made now: %s", error.message)


def skip_reason(context: Context) -> str:
    """Return why there is nothing to back up yet; empty if there is something."""
    if not context.paths.active_env.exists():
        return "no environment is active"
    env = active_env(context)
    if env.appliance.standby:
        return "the appliance is on standby"
    # Once all data are back, the site is backed up even if the recovery itself was not completed.
    if is_unfinished(context.paths):
        return "a recovery or rewind has not finished"
    try:
        exists = postgres.database_exists(postgres.Server(), env.ecs.database)
    except NotRunningError:
        # A stopped server is a failure, which the backup itself reports.
        return ""
    return "" if exists else f"there is no database {env.ecs.database}"


def open_machine(context: Context) -> Installation:
    """Return this machine with its active environment. Raises NotRunningError if none is active."""
    if not context.paths.active_env.exists():
        raise NotRunningError("no environment is active", "env-update.sh")
    return Installation(context.paths, context.runner, active_env(context))


@contextmanager
def open_repository(context: Context) -> Iterator[Repository]:
    """Open the repository that env.yml names, for the block. Raises RefusedError if there is none."""
    with connected(context.paths, context.runner, open_machine(context).env.appliance.backup) as repository:
        if find_repository(repository) is None:
            raise RefusedError(f"there is no backup at {repository.shown}", "to make one: appliance backup run")
        yield repository


def check_backups(context: Context, *, subset: str) -> None:
    """Check the repository and read `subset` of its data; only a check of all data clears an alert about damage."""
    with locked(context.paths.backup_lock, "backup check"), open_repository(context) as repository:
        repository.unlock()
        with alerting_on_failure(context, TOPIC, 0):
            check_repository(repository, subset=subset)
    if subset == EVERYTHING:
        context.alerts.clear(DAMAGED)
        update_backups(context.paths, errors=0)


def plan_prune(context: Context) -> list[Snapshot]:
    """Return the backups that retention does not keep, oldest first. Raises RefusedError as `prune_backups` does."""
    policy = _policy(context)
    with open_repository(context) as repository:
        unwanted = set(repository.plan_forget(policy))
        return [snapshot for snapshot in repository.snapshots() if snapshot.id in unwanted]


def prune_backups(context: Context) -> tuple[str, ...]:
    """Remove what retention does not keep; return the ids removed. Raises RefusedError if the target is append-only."""
    policy = _policy(context)
    with (
        locked(context.paths.backup_lock, "backup prune", wait=PRUNE_WAIT),
        locked(context.paths.rehearsal_lock, "backup prune", wait=PRUNE_WAIT),
        open_repository(context) as repository,
    ):
        repository.unlock()
        return repository.forget(policy)


def _policy(context: Context) -> Policy:
    settings = open_machine(context).env.appliance.backup
    if settings.append_only:
        raise RefusedError(
            "appliance.backup.append_only is set, so this machine removes no backups",
            "remove old backups on the server, see the manual",
        )
    return policy_of(settings)


def fetch_file(context: Context, file: str, target: Path, *, snapshot: str = "") -> Snapshot:
    """Write `file`, a path below /data, from a backup to the new file `target`; return the backup.

    Raises RefusedError if `target` exists or the backup has no such file, ApplianceError if it is damaged there.
    """
    if os.path.lexists(target):
        raise RefusedError(f"{target} already exists", "choose a new file name")
    with open_repository(context) as repository:
        return _fetch(context, repository, file, target, snapshot)


def _fetch(context: Context, repository: Repository, file: str, target: Path, snapshot: str) -> Snapshot:
    chosen = choose_snapshot(repository.snapshots(), wanted=snapshot)
    name = file.strip("/").removeprefix("data/")
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.absolute().parent) as folder:
        source = Path(folder) / name
        only = f"/{Path(name).name}"
        folder_of_file = context.paths.data / Path(name).parent
        lost = repository.restore(chosen.id, folder_of_file, source.parent, _ignore_progress, only=[only])
        if lost:
            raise ApplianceError(
                f"the backup is damaged: {file} is incomplete in {chosen.short}", "try another --snapshot"
            )
        if not source.is_file():
            raise RefusedError(f"backup {chosen.short} has no file {file}", "use a path below /data")
        source.rename(target)
    return chosen


def _ignore_progress(_: object) -> None:
    """Ignore progress."""


@contextmanager
def alerting_on_failure(context: Context, topic: str, began: float) -> Iterator[None]:
    """Raise an alert for a failure, and a critical one once the last successful backup is older than MISSED_SECONDS.

    `began` is when the backup began, in Unix seconds; 0 for other work, whose failures do not count as failed backups.
    """
    try:
        yield
    except BusyError:
        raise
    except DamagedBackupError as error:
        context.alerts.put_failure(DAMAGED, "critical", "", error)
        update_backups(context.paths, failed=True, errors=error.files)
        raise
    except Exception as error:
        failure = as_failure(error)
        context.alerts.put_failure(topic, "warning", "backup failed", failure)
        if began:
            update_backups(context.paths, failed=True)
        last = last_success(context)
        if began and last is not None and began - last > MISSED_SECONDS:
            age = f"{(began - last) / 3600:.0f} hours"
            context.alerts.put(MISSED, "critical", f"the last backup is {age} old", failure.hint)
        raise failure from error


def last_success(context: Context) -> float | None:
    """Return when the last successful backup began, in Unix seconds; None before the first."""
    return read_backups(context.paths).success


def _count(context: Context, began: float, report: BackupReport, *, nightly: bool) -> None:
    made = report.made
    known = {"success": began, "duration": report.seconds, "size": made.added, "data_size": made.size}
    if nightly:
        known["nightly"] = began
    errors = read_backups(context.paths).errors or 0
    update_backups(context.paths, failed=False, errors=errors, **known)
