"""State of the machine's locales; see ecs_appliance.host.locales."""

from typing import Any

from ecs_appliance.converge.states import guarded
from ecs_appliance.core.paths import Paths
from ecs_appliance.host.locales import add_lines, plan_locales

__opts__: dict[str, Any]  # injected by Salt: the minion's options


@guarded
def listed(name: str, locales: list[str]) -> dict[str, Any]:
    """Ensure /etc/locale.gen lists `locales` and those the machine is set to, in addition to its other entries."""
    paths = Paths()
    lines = plan_locales(paths, locales)
    changes = {"added": ", ".join(lines)} if lines else {}
    if lines and __opts__["test"]:
        return {"name": name, "result": None, "changes": changes, "comment": "would be added"}
    if lines:
        add_lines(paths, lines)
    return {"name": name, "result": True, "changes": changes, "comment": "listed"}
