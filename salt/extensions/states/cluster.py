"""State of the PostgreSQL cluster; see ecs_appliance.host.cluster."""

from typing import Any

from ecs_appliance.converge.states import guarded
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host.cluster import ensure_cluster, has_cluster, reclaim_folders

__opts__: dict[str, Any]  # injected by Salt: the minion's options


@guarded
def present(name: str) -> dict[str, Any]:
    """Ensure the database server has its cluster, and that root owns the folders around it."""
    paths, dry = Paths(), __opts__["test"]
    # Before checking for the cluster, because links could redirect that; again after creating it, because Debian's
    # tools give the folders to postgres.
    changes = reclaim_folders(paths, dry=dry)
    if not has_cluster(paths):
        changes["cluster"] = name
        if not dry:
            ensure_cluster(paths, SystemRunner())
            reclaim_folders(paths)
    if not changes:
        return {"name": name, "result": True, "changes": {}, "comment": "present"}
    return {"name": name, "result": None if dry else True, "changes": changes, "comment": "corrected"}
