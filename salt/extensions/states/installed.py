"""States of what a release installs into shared folders; see ecs_appliance.converge.installed."""

from typing import Any

from ecs_appliance.converge.installed import is_recorded, plan_removal, plan_shared, remove_others, write_shared
from ecs_appliance.converge.states import guarded
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner

__opts__: dict[str, Any]  # injected by Salt: the minion's options


@guarded
def current(name: str) -> dict[str, Any]:
    """Ensure units and commands of other releases are removed; other files next to them are left alone."""
    paths = Paths()
    if is_recorded(paths):
        return {"name": name, "result": True, "changes": {}, "comment": "current"}
    unwanted = plan_removal(paths)
    changes = {"removed": ", ".join(unwanted)} if unwanted else {"recorded": name}
    if __opts__["test"]:
        return {"name": name, "result": None, "changes": changes, "comment": "would be corrected"}
    remove_others(paths, SystemRunner(), unwanted)
    return {"name": name, "result": True, "changes": changes, "comment": "corrected"}


@guarded
def shared(name: str) -> dict[str, Any]:
    """Ensure manual pages and completion are those of the active release. Salt's own states would take a second."""
    files = plan_shared(Paths())
    if not files:
        return {"name": name, "result": True, "changes": {}, "comment": "current"}
    changes = {"written": ", ".join(sorted(path.name for path in files))}
    if __opts__["test"]:
        return {"name": name, "result": None, "changes": changes, "comment": "would be written"}
    write_shared(files)
    return {"name": name, "result": True, "changes": changes, "comment": "written"}
