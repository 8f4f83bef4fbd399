"""prepare-env: find, check and activate the environment."""

import hashlib
import logging

from ecs_appliance.converge.ssh import has_admin_key
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.activation import activate, load_active
from ecs_appliance.env.model import Env
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.standby import leave_standby, stand_by
from ecs_appliance.lifecycle.unsigned import tell_unsigned
from ecs_appliance.lifecycle.unsupported_keys import list_ineffective
from ecs_appliance.reporting.topics import ENVIRONMENT

log = logging.getLogger(__name__)

STAGE = "prepare-env"
LOCK_WAIT = 900


def prepare_env(context: Context) -> None:
    """Activate the environment. Raises ApplianceError if there is no usable one."""
    leave_standby(context)
    steps = context.steps()
    with steps.step("environment", "reading the environment"), locked(context.paths.lock, STAGE, wait=LOCK_WAIT):
        env = find_env(context)
    for what in list_ineffective(env):
        log.warning("not in this version: %s", what)
    tell_unsigned(context.alerts, env)
    if not has_admin_key(context.paths, env):
        log.warning("ssh still accepts passwords, because no key gives access to root; add one to ssh_authorized_keys")
    if env.appliance.standby:
        stand_by(context, "standby", next_step="set appliance.standby to false, then: systemctl start appliance-update")


def find_env(context: Context) -> Env:
    """Activate the environment that the sources have now, and return it.

    If it is unusable, the environment that is already active stays so and an alert is raised; without an active one,
    raise ApplianceError.
    """
    try:
        env = activate(context.paths, context.runner).env
    except ApplianceError as error:
        if not context.paths.active_env.exists():
            raise
        log.error("%s\n  → %s", error.message, error.hint)
        context.alerts.put_failure(ENVIRONMENT, "warning", "the previous environment stays active", error)
        return active_env(context)
    context.alerts.clear(ENVIRONMENT)
    return env


def active_env(context: Context) -> Env:
    """Return the active environment; its secrets are masked in the log from now on. Raises InvalidEnvError."""
    return load_active(context.paths)


def env_digest(paths: Paths) -> str:
    """Return the SHA-256 of the active environment, which identifies it without revealing its contents."""
    return hashlib.sha256(paths.active_env.read_bytes()).hexdigest()
