"""appliance-update: update environment, appliance, packages, machine and application, then restart if needed."""

import logging
import time
from datetime import datetime

from ecs_appliance.app.images import app_tag
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.markers import LAST_UPDATE
from ecs_appliance.core.runner import ProcessError
from ecs_appliance.core.steps import Steps, log_step
from ecs_appliance.env.activation import activate
from ecs_appliance.env.model import Env
from ecs_appliance.host import apt, docker, systemd
from ecs_appliance.host.code_signatures import DistrustedError
from ecs_appliance.host.git import is_full_id
from ecs_appliance.lifecycle.certificate import start_in_background
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.converging import converge_machine
from ecs_appliance.lifecycle.prepare_ecs import build_version
from ecs_appliance.lifecycle.prepare_env import env_digest
from ecs_appliance.lifecycle.release import Release, activate_release, active_release, add_release
from ecs_appliance.lifecycle.rollback import BAD, NEXT, BadVersionError
from ecs_appliance.lifecycle.standby import STAGES
from ecs_appliance.lifecycle.unsigned import tell_unsigned
from ecs_appliance.reporting.topics import ENVIRONMENT

log = logging.getLogger(__name__)

UNIT = "appliance.service"
# Includes a migration, which may take four hours.
RESTART_TIMEOUT = 5 * 3600
LOCK_WAIT = 900
START_DEADLINE = 3 * 3600
DISTRUSTED_RELEASE = "source:appliance"
FORCE_RELEASE = "force.update.appliance"
UPGRADED_DAY = "last_update_system"


def update(context: Context) -> None:
    """Update everything while the site runs, then restart it if something changed.

    A broken environment ends the update before anything is touched. A new release of the appliance takes over. If the
    appliance does not run, its start does the rest.
    """
    # A start in progress may be migrating the database, so wait for its stages; after them it may be interrupted.
    systemd.wait_settled(context.runner, STAGES, deadline=START_DEADLINE)
    with locked(context.paths.lock, "update", wait=LOCK_WAIT):
        reasons = _update_locked(context)
    context.tags.set(LAST_UPDATE, datetime.now().astimezone().isoformat(timespec="seconds"))
    if not reasons:
        log.info("everything is up to date, the site was not restarted")
        return
    log.info("restarting the site: %s", "; ".join(reasons))
    asked = context.flags.get(NEXT)
    try:
        systemd.restart(context.runner, UNIT, timeout=RESTART_TIMEOUT)
    except ProcessError:
        shown = context.page.shown()
        error = (shown.error if shown else "") or "systemctl status appliance shows why"
        failure = ApplianceError(f"the site did not come up again: {error}", shown.next if shown else "")
        # The failed unit has raised an alert.
        failure.alerted = True
        raise failure from None
    if asked is not None:
        _require_new(context)


def _require_new(context: Context) -> None:
    """Raise ApplianceError if the version that was built has been rolled back."""
    bad = context.tags.get(BAD)
    if bad is not None and bad == context.tags.get("last_build_ecs"):
        failure = ApplianceError(
            f"version {bad[:12]} did not come up, the previous one is running", "appliance alerts shows why"
        )
        failure.alerted = True
        raise failure


def _update_locked(context: Context) -> list[str]:
    env = activate(context.paths, context.runner).env
    context.alerts.clear(ENVIRONMENT)
    tell_unsigned(context.alerts, env)
    update_appliance(context, env)
    update_packages(context)
    if not systemd.is_active(context.runner, UNIT):
        context.flags.set(NEXT)
        return ["it is not running"]
    report = converge_machine(context, env)
    start_in_background(context)
    reasons = plan_restart(
        env_changed=context.tags.get("last_running_env") != env_digest(context.paths),
        changed_states=[state.name for state in report.having("changed")],
        release=_commit(active_release(context.paths)),
        running_release=context.tags.get("last_running_appliance"),
    )
    return [*reasons, *_build_ahead(context, env)]


def plan_restart(
    *, env_changed: bool, changed_states: list[str], release: str | None, running_release: str | None
) -> list[str]:
    """Return why the containers must be restarted, in words; all other changes are already in effect."""
    reasons = {
        "the environment changed": env_changed,
        "the containers' configuration changed": any("docker-compose.yml" in name for name in changed_states),
        "the appliance has a new release": release != running_release,
    }
    return [reason for reason, holds in reasons.items() if holds]


def update_appliance(context: Context, env: Env) -> None:
    """Hand over to another release of the appliance if its source has one; otherwise return.

    An untrusted one raises an alert, and the update continues with the active release.
    """
    active = active_release(context.paths)
    try:
        release = _add_release(context, env, active)
    except DistrustedError as error:
        context.alerts.put(DISTRUSTED_RELEASE, "critical", error.message, error.hint)
        return
    context.alerts.clear(DISTRUSTED_RELEASE)
    context.flags.clear(FORCE_RELEASE)
    if active is not None and active.commit == release.commit:
        return
    log.info("appliance: %s replaces %s", release.commit, active.commit if active else "the clone")
    activate_release(context.paths, release)
    context.runner.replace([release.command, "stage", "update"])


def _add_release(context: Context, env: Env, active: Release | None) -> Release:
    target = env.appliance.git
    # A pinned commit is wanted whatever it descends from.
    forced = context.flags.get(FORCE_RELEASE) is not None or is_full_id(target.commitid)
    # The active release was accepted before it took over, even if it does not descend from the one that runs.
    running = (context.tags.get("last_running_appliance") or "", _commit(active) or "")
    return add_release(
        context.paths,
        context.runner,
        source=target.source,
        branch=target.branch,
        commitid=target.commitid,
        signers=target.signers,
        after=() if forced else running,
    )


def update_packages(context: Context) -> None:
    """Install security updates once a day, or if the flag force.update.system is set."""
    today = time.strftime("%Y-%m-%d")
    forced = context.flags.get("force.update.system") is not None
    if context.tags.get(UPGRADED_DAY) == today and not forced:
        return
    apt.install_security_updates(context.paths, context.runner)
    context.flags.clear("force.update.system")
    context.tags.set(UPGRADED_DAY, today)


def _commit(release: Release | None) -> str | None:
    return release.commit if release else None


def _build_ahead(context: Context, env: Env) -> list[str]:
    """Build the wanted version while the running one serves; return why a restart is needed. Raises ApplianceError."""
    try:
        version = build_version(context, env, Steps([log_step]))
    except BadVersionError as error:
        log.warning("%s; %s", error.message, error.hint)
        return []
    running = context.tags.get("last_running_ecs")
    image = docker.image_id(context.runner, app_tag(version.commit))
    if version.commit == running and image == context.tags.get("last_running_ecs_image"):
        return []
    context.flags.set(NEXT, version.commit)
    return [f"version {version.commit[:12]} replaces {(running or 'none')[:12]}"]
