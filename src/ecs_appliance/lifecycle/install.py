"""Install: turn a machine with a clone of this repository into an appliance that waits for its env.yml."""

import logging
from pathlib import Path
from typing import NoReturn

from ecs_appliance.converge.report import ConvergeReport
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.locks import locked
from ecs_appliance.host import apt, git
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.converging import converge_machine
from ecs_appliance.lifecycle.prepare_env import active_env
from ecs_appliance.lifecycle.release import Release, activate_release, add_release

log = logging.getLogger(__name__)

HERE = Path(__file__).resolve().parents[3]


def install(context: Context, *, source: str | None, branch: str | None) -> NoReturn:
    """Create a release of `source` at `branch` (default: this clone's commit) and hand over to it."""
    with locked(context.paths.lock, "install"):
        log.info("fetching the appliance …")
        release = _add(context, source, branch)
    context.runner.replace([release.command, "stage", "install"])


def finish_install(context: Context) -> ConvergeReport:
    """Activate the release that this code belongs to and converge the machine."""
    paths, runner = context.paths, context.runner
    with locked(paths.lock, "install", wait=60):
        release = Release(HERE.name, HERE)
        activate_release(paths, release)
        log.info("updating the package lists …")
        apt.update_lists(paths, runner)
        log.info("configuring the machine …")
        env = active_env(context) if paths.active_env.exists() else None
        return converge_machine(context, env)


def _add(context: Context, source: str | None, branch: str | None) -> Release:
    if branch:
        return add_release(context.paths, context.runner, source=source or str(HERE), branch=branch)
    # The clone may belong to the account that called sudo.
    commit = git.head(context.runner, HERE, user=HERE.owner())
    if commit is None:
        raise ApplianceError(f"{HERE} is not a git clone", "clone the repository, or use --source and --branch")
    return add_release(context.paths, context.runner, source=source or str(HERE), branch="", commitid=commit)
