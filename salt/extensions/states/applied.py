"""State that runs commands after files have changed; see ecs_appliance.core.content_stamps."""

import shlex
from typing import Any

from ecs_appliance.converge.states import guarded
from ecs_appliance.core.content_stamps import contents_digest, is_applied, mark_applied
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner

__opts__: dict[str, Any]  # injected by Salt: the minion's options

TIMEOUT = 600


@guarded
def since_change(name: str, files: list[str], commands: list[str]) -> dict[str, Any]:
    """Ensure `commands` have succeeded since the contents of `files` (absolute globs) last changed."""
    paths, digest = Paths(), contents_digest(files)
    if is_applied(paths, name, digest):
        return {"name": name, "result": True, "changes": {}, "comment": "applied"}
    changes = {"applied": ", ".join(commands)}
    if __opts__["test"]:
        return {"name": name, "result": None, "changes": changes, "comment": "would be applied"}
    for command in commands:
        SystemRunner().run(shlex.split(command), timeout=TIMEOUT)
    mark_applied(paths, name, digest)
    return {"name": name, "result": True, "changes": changes, "comment": "applied"}
