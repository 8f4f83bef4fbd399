"""Bringing this machine into the state that an environment asks for, by whoever has that in hand and holds the lock."""

import logging

from ecs_appliance.converge.engine import converge
from ecs_appliance.converge.pillar import machine_pillar
from ecs_appliance.converge.report import ConvergeReport
from ecs_appliance.env.activate import usable
from ecs_appliance.env.model import Env
from ecs_appliance.env.source import NoEnvironmentError
from ecs_appliance.env.sources import find
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.prepare_env import env_digest

log = logging.getLogger(__name__)

# The digest of the environment that the machine is in the state of.
CONVERGED = "converged_env"


def converge_machine(context: Context, env: Env | None) -> ConvergeReport:
    """Converge on the active environment `env`, None where there is none yet; raises ConvergeError."""
    report = try_to_converge(context, env)
    log.info("machine: %s", report.summary())
    report.check()
    return report


def try_to_converge(context: Context, env: Env | None) -> ConvergeReport:
    """As `converge_machine`; the report may have states that failed."""
    paths = context.paths
    digest = env_digest(paths) if env else ""
    report = converge(machine_pillar(paths, env), paths.appliance / "salt" / "minion")
    if not report.having("failed"):
        context.tags.set(CONVERGED, digest)
    return report


def plan_converge(context: Context) -> tuple[str, ConvergeReport]:
    """Return which environment would be activated now, and what a converge on it would change; changes nothing.

    Raises InvalidEnvError where that cannot be used.
    """
    try:
        found = find(context.paths, context.runner)
    except NoEnvironmentError:
        env, origin = None, "no environment: the machine before its activation"
    else:
        env, origin = usable(found), found.origin
    report = converge(machine_pillar(context.paths, env), context.paths.appliance / "salt" / "minion", dry_run=True)
    return origin, report


def is_converged(context: Context) -> bool:
    """Return whether the machine is in the state that the active environment asks for."""
    return context.paths.active_env.exists() and context.tags.get(CONVERGED) == env_digest(context.paths)
