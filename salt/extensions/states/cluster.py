"""State of the database server's cluster; see ecs_appliance.host.cluster."""

from typing import Any

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host.cluster import ensure_cluster, has_cluster

__opts__: dict[str, Any]  # Salt puts the minion's options here


def present(name: str) -> dict[str, Any]:
    """The database server has its cluster."""
    paths = Paths()
    if has_cluster(paths):
        return {"name": name, "result": True, "changes": {}, "comment": "present"}
    if __opts__["test"]:
        return {"name": name, "result": None, "changes": {"cluster": name}, "comment": "would be made"}
    try:
        ensure_cluster(paths, SystemRunner())
    except ApplianceError as error:
        return {"name": name, "result": False, "changes": {}, "comment": error.message}
    return {"name": name, "result": True, "changes": {"cluster": name}, "comment": "made"}
