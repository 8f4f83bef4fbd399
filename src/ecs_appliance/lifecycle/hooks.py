"""The operator's own scripts around a stage: /app/etc/hooks/STAGE.{early,late}/*.sh."""

import logging
import os
from typing import Literal

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.folders import require_ours
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import ProcessError, Runner

log = logging.getLogger(__name__)

HOOK_TIMEOUT = 1800


def run_hooks(paths: Paths, runner: Runner, stage: str, when: Literal["early", "late"]) -> list[str]:
    """Run the hooks of `stage` in the order of their names; return the names of those that ran.

    Stops at the first that fails, is not executable, or can be changed by an account other than root, and raises
    ApplianceError naming it.
    """
    folder = paths.hooks / f"{stage}.{when}"
    ran = []
    for script in sorted(folder.glob("*.sh")):
        if not os.access(script, os.X_OK):
            raise ApplianceError(f"hook {script} is not executable", f"chmod +x {script}, or rename it")
        require_ours(script, "hook")
        log.info("hook %s", script)
        try:
            runner.run([script], timeout=HOOK_TIMEOUT, cwd=folder, on_line=log.info)
        except ProcessError as error:
            raise ApplianceError(f"hook {script} failed: {error.message}", f"fix or remove {script}") from None
        ran.append(script.name)
    return ran
