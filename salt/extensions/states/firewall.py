"""State of the firewall's rules; see ecs_appliance.converge.firewall."""

from typing import Any

from ecs_appliance.converge.firewall import OURS, firewall_is_current, load_firewall
from ecs_appliance.converge.names import refresh_names
from ecs_appliance.converge.states import guarded
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner

__opts__: dict[str, Any]  # injected by Salt: the minion's options


@guarded
def loaded(name: str) -> dict[str, Any]:
    """Ensure the appliance's and the operator's rules are active now and at the next boot.

    Always refreshes the addresses of the host names in the rules.
    """
    paths, runner = Paths(), SystemRunner()
    changes = {"firewall": OURS}
    # A dry run on a new machine has not written our rules.
    is_current = paths.at(OURS).exists() and firewall_is_current(paths, runner)
    if __opts__["test"]:
        comment = "active" if is_current else "would be loaded"
        return {
            "name": name,
            "result": is_current or None,
            "changes": {} if is_current else changes,
            "comment": comment,
        }
    if not is_current:
        load_firewall(paths, runner)
    refresh_names(paths, runner)
    if is_current:
        return {"name": name, "result": True, "changes": {}, "comment": "active"}
    return {"name": name, "result": True, "changes": changes, "comment": "loaded"}
