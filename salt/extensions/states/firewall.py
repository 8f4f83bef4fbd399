"""State of the firewall's rules; see ecs_appliance.converge.firewall."""

from typing import Any

from ecs_appliance.converge.firewall import OURS, firewall_is_current, load_firewall
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner

__opts__: dict[str, Any]  # Salt puts the minion's options here


def loaded(name: str) -> dict[str, Any]:
    """The rules of the appliance and of the operator are in force, and will be at the next boot."""
    paths, runner = Paths(), SystemRunner()
    changes = {"firewall": OURS}
    try:
        # A dry run on a new machine has not written ours.
        if paths.at(OURS).exists() and firewall_is_current(paths, runner):
            return {"name": name, "result": True, "changes": {}, "comment": "in force"}
        if __opts__["test"]:
            return {"name": name, "result": None, "changes": changes, "comment": "would be loaded"}
        load_firewall(paths, runner)
    except ApplianceError as error:
        return {"name": name, "result": False, "changes": {}, "comment": error.message}
    return {"name": name, "result": True, "changes": changes, "comment": "loaded"}
