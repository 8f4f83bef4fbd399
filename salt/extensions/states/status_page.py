"""State of the status page; what it says is the business of ecs_appliance.reporting.status."""

from typing import Any

from ecs_appliance.core.paths import Paths
from ecs_appliance.reporting.status import StatusPage

__opts__: dict[str, Any]  # Salt puts the minion's options here


def present(name: str) -> dict[str, Any]:
    """nginx has a page for the time in which the application does not answer."""
    paths = Paths()
    held = paths.www / "unavailable.html"
    if held.is_file():
        return {"name": name, "result": True, "changes": {}, "comment": "there"}
    changes = {"page": str(held)}
    if __opts__["test"]:
        return {"name": name, "result": None, "changes": changes, "comment": "would be written"}
    page = StatusPage(paths)
    page.hold()
    page.show("installed", next_step="put env.yml to /app/env.yml, then: systemctl start appliance-update")
    return {"name": name, "result": True, "changes": changes, "comment": "written"}
