"""appliance-rehearsal: prove every week that the backups can be recovered from, and report the result."""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from ecs_appliance.app import shell
from ecs_appliance.app.images import app_tag
from ecs_appliance.app.migration import app_task
from ecs_appliance.app.vaultkeys import copy_keyring
from ecs_appliance.backup.comparison import Documents
from ecs_appliance.backup.evidence import Evidence
from ecs_appliance.backup.manifest import SnapshotManifest
from ecs_appliance.backup.plan import choose_snapshot
from ecs_appliance.backup.rehearsal import CONTAINER, SLICE, RehearsalStage, open_stage, reached_rpo, rehearse
from ecs_appliance.backup.run import Installation
from ecs_appliance.backup.target import connected, find_repository
from ecs_appliance.core import folders
from ecs_appliance.core.errors import ApplianceError, BusyError, RefusedError, as_failure
from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.locks import locked
from ecs_appliance.core.steps import Steps, log_step
from ecs_appliance.host import docker, systemd
from ecs_appliance.host.cluster import ROLE
from ecs_appliance.host.docker import ContainerMount
from ecs_appliance.host.restic import OnProgress
from ecs_appliance.lifecycle.backup import open_machine, skip_reason
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.documents import compare_documents
from ecs_appliance.lifecycle.prepare_ecs import site
from ecs_appliance.reporting.backups import Rehearsed, read_backups, update_backups

log = logging.getLogger(__name__)

TOPIC = "backup-rehearsal"
UNIT = "appliance.service"
SOCKET = "/run/appliance-rehearsal"
CHECK_SECONDS = 24 * 3600
# Ten years, at one a week.
KEPT = 520


def rehearse_by_timer(context: Context) -> None:
    """Run the unit's rehearsal. That there is nothing to rehearse, or another one runs, is not a failure."""
    reason = skip_reason(context)
    if reason:
        log.info("no rehearsal made: %s", reason)
        return
    try:
        report(run(context))
    except BusyError as error:
        log.info("no rehearsal made now: %s", error.message)


def report(evidence: Evidence) -> None:
    """Raise ApplianceError naming what is wrong, if anything is."""
    if evidence.ok:
        return
    lines = "".join(f"\n  {line}" for line in evidence.findings.wrong)
    failure = ApplianceError(f"backup {evidence.snapshot.short} cannot be trusted:{lines}", HINT)
    failure.alerted = True
    raise failure


HINT = (
    "for documents: appliance backup restore-document ID; for anything else, fix the cause; then: appliance backup "
    "run, appliance backup rehearse; older backups may work: --snapshot ID"
)


def gives_way() -> bool:
    """Return whether this process is in the slice that yields resources to the site."""
    return SLICE in Path("/proc/self/cgroup").read_text()


def run(context: Context, *, snapshot: str = "", on_progress: OnProgress = lambda _: None) -> Evidence:
    """Rehearse a recovery from the backup `snapshot`, by default the latest; write evidence, metrics and alert.

    The returned evidence contains what was found wrong. Raises BusyError if another rehearsal runs, RefusedError if
    there is no space or no backup, ApplianceError if it could not be done.
    """
    machine = open_machine(context)
    with locked(context.paths.rehearsal_lock, "rehearsal"):
        try:
            evidence = _rehearse(context, machine, snapshot, on_progress)
        except Exception as error:
            failure = as_failure(error)
            context.alerts.put_failure(TOPIC, "critical", "the rehearsal of a recovery failed", failure)
            update_backups(context.paths, rehearsal_ok=False)
            raise failure from error
    if evidence.ok:
        context.alerts.clear(TOPIC)
    else:
        context.alerts.put(TOPIC, "critical", f"the backup cannot be trusted: {evidence.findings.wrong[0]}", HINT)
    return evidence


def _rehearse(context: Context, machine: Installation, wanted: str, on_progress: OnProgress) -> Evidence:
    began, steps = time.time(), Steps([log_step])
    backups, ask = read_backups(context.paths), partial(_compare, context, machine)
    with connected(context.paths, context.runner, machine.env.appliance.backup) as repository:
        repository_id = find_repository(repository)
        if repository_id is None:
            raise RefusedError(f"there is no backup at {repository.shown}", "to make one: appliance backup run")
        snapshots = repository.snapshots()
        snapshot = choose_snapshot(snapshots, wanted=wanted)
        size = repository.size_of(snapshot.id)
        with open_stage(context.paths, context.runner, size) as stage:
            findings = rehearse(
                machine, repository, snapshot, stage=stage, ask=ask, steps=steps, on_progress=on_progress
            )
        evidence = Evidence(
            snapshot=snapshot,
            size=size,
            began=began,
            steps=steps.seconds,
            findings=findings,
            start=_start_seconds(context),
            rpo=reached_rpo([each.time.timestamp() for each in snapshots], began),
            repository=repository_id,
            key=repository.key_id(),
            target=repository.shown,
            domain=machine.env.appliance.domain,
            versions=_versions(context),
        )
    _keep(context, evidence)
    newest = max(backups.verified or 0, snapshot.time.timestamp()) if evidence.ok else backups.verified
    backups.rehearsed(context.paths, Rehearsed(evidence.ok, began, newest, evidence.rpo, evidence.rto))
    return evidence


def _compare(context: Context, machine: Installation, stage: RehearsalStage, record: SnapshotManifest) -> Documents:
    """Have the application compare the restored documents, in a container without network access."""
    copy_keyring(stage.data)
    settings = replace(site(context, machine.env), database_url=f"postgres://{ROLE}@/{record.database}")
    task = app_task(CONTAINER, _image(context, record), stage.data, settings, shell.ARGV)
    task = replace(
        task,
        network=None,
        env={**task.env, "PGHOST": SOCKET},
        mounts=(*task.mounts, ContainerMount(stage.scratch.socket, SOCKET, read_only=True)),
        slice=SLICE,
    )
    for mount in task.mounts:
        if not os.path.lexists(mount.source):
            # A site without documents or keys lacks it; the container gives it to the application's account.
            folders.make(mount.source)
    return compare_documents(context, stage.data, shell.in_task(context.runner, task, seconds=CHECK_SECONDS))


def _image(context: Context, record: SnapshotManifest) -> str:
    """Return the image that ran at the backup, as the database's tables match it, else the one that ran last."""
    commits = [record.application, context.tags.get("last_running_ecs") or ""]
    found = [app_tag(commit) for commit in commits if commit and docker.image_exists(context.runner, app_tag(commit))]
    if not found:
        raise RefusedError("the application has not run here yet", "systemctl start appliance")
    return found[0]


def _start_seconds(context: Context) -> float | None:
    """Return the seconds that the last start took until the site answered; None if it does not run."""
    began, ended = "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic"
    known = systemd.unit_properties(context.runner, UNIT, "ActiveState", began, ended)
    return (int(known[ended]) - int(known[began])) / 1e6 if known["ActiveState"] == "active" else None


def _versions(context: Context) -> Mapping[str, str]:
    first = {"restic": ["restic", "version"], "pgbackrest": ["pgbackrest", "version"]}
    said = {name: context.runner.run(argv, timeout=60).stdout.splitlines()[0] for name, argv in first.items()}
    return {**said, "appliance": context.paths.appliance.resolve().name}


def _keep(context: Context, evidence: Evidence) -> None:
    folder = context.paths.evidence
    stamp = f"{datetime.fromtimestamp(evidence.began).astimezone():%Y-%m-%dT%H%M%S}"
    write_atomic(folder / f"{stamp}.txt", evidence.page(), mode=0o644)
    log.info("evidence: %s", folder / f"{stamp}.txt")
    for old in sorted(folder.glob("*.txt"))[:-KEPT]:
        old.unlink(missing_ok=True)
