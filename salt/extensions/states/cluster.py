"""State of the database server's cluster; see ecs_appliance.host.cluster."""

from typing import Any

from ecs_appliance.converge.states import guarded
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host.cluster import ensure_cluster, has_cluster, reclaim_folders

__opts__: dict[str, Any]  # Salt puts the minion's options here


@guarded
def present(name: str) -> dict[str, Any]:
    """The database server has its cluster, in folders of root's."""
    paths, dry = Paths(), __opts__["test"]
    # Before, for what lies there leads to where it is looked at; after, for Debian gives it to postgres.
    changes = reclaim_folders(paths, dry=dry)
    if not has_cluster(paths):
        changes["cluster"] = name
        if not dry:
            ensure_cluster(paths, SystemRunner())
            reclaim_folders(paths)
    if not changes:
        return {"name": name, "result": True, "changes": {}, "comment": "present"}
    return {"name": name, "result": None if dry else True, "changes": changes, "comment": "put right"}
