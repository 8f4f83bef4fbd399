"""Converge this machine to an environment; the caller holds the lock."""

import logging

from ecs_appliance.converge.engine import converge
from ecs_appliance.converge.pillar import machine_pillar
from ecs_appliance.converge.report import ConvergeReport
from ecs_appliance.env.activation import usable
from ecs_appliance.env.discovery import find_env
from ecs_appliance.env.model import Env
from ecs_appliance.env.source import NoEnvironmentError
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.prepare_env import env_digest

log = logging.getLogger(__name__)

# The tag with the digest of the environment that the machine has converged to.
CONVERGED = "converged_env"


def converge_machine(context: Context, env: Env | None) -> ConvergeReport:
    """Converge to the active environment `env`, None if there is none yet. Raises ConvergeError."""
    report = try_to_converge(context, env)
    log.info("machine: %s", report.summary())
    report.check()
    return report


def try_to_converge(context: Context, env: Env | None) -> ConvergeReport:
    """As `converge_machine`, but states that failed are in the report and raise nothing."""
    paths = context.paths
    digest = env_digest(paths) if env else ""
    report = converge(machine_pillar(paths, env), paths.appliance / "salt" / "minion")
    if not report.having("failed"):
        context.tags.set(CONVERGED, digest)
    return report


def plan_converge(context: Context) -> tuple[str, ConvergeReport]:
    """Return which environment would be activated now, and what converging to it would change; change nothing.

    Raises InvalidEnvError if that environment is unusable.
    """
    try:
        found = find_env(context.paths, context.runner)
    except NoEnvironmentError:
        env, origin = None, "no env.yml was found, so this is for a machine without one"
    else:
        env, origin = usable(found), found.origin
    report = converge(machine_pillar(context.paths, env), context.paths.appliance / "salt" / "minion", dry_run=True)
    return origin, report


def is_converged(context: Context) -> bool:
    """Return whether the machine has converged to the active environment."""
    return context.paths.active_env.exists() and context.tags.get(CONVERGED) == env_digest(context.paths)
