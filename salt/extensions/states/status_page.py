"""State of the status page; see ecs_appliance.reporting.status for its contents."""

from typing import Any

from ecs_appliance.converge.states import guarded
from ecs_appliance.core.paths import Paths
from ecs_appliance.reporting.status import StatusPage
from ecs_appliance.reporting.visitor_page import SiteNotice

__opts__: dict[str, Any]  # injected by Salt: the minion's options


@guarded
def present(name: str, site: str, contact: str) -> dict[str, Any]:
    """Ensure nginx has a page with `site` and `contact` to show while the application does not answer."""
    page, wanted = StatusPage(Paths()), SiteNotice(site, contact)
    if page.holds(wanted):
        return {"name": name, "result": True, "changes": {}, "comment": "there"}
    changes = {"page": site or "without a name"}
    if __opts__["test"]:
        return {"name": name, "result": None, "changes": changes, "comment": "would be written"}
    fresh = not page.ever_held()
    page.hold(wanted)
    if fresh:
        page.show("installed", next_step="copy env.yml to /app/env.yml, then: systemctl start appliance-update")
    return {"name": name, "result": True, "changes": changes, "comment": "written"}
