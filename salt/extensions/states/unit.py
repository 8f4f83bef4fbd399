"""States of systemd's units, asked with one call a unit: Salt's own service states take seven times as long."""

from typing import Any

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host import systemd

__opts__: dict[str, Any]  # Salt puts the minion's options here


def running(name: str) -> dict[str, Any]:
    """The unit `name` is active now and enabled for the next boot."""
    return _reach(name, active=True, file_state="enabled")


def enabled(name: str) -> dict[str, Any]:
    """The unit `name` is enabled for the next boot; whether it runs now is not looked at."""
    return _reach(name, active=None, file_state="enabled")


def masked(name: str) -> dict[str, Any]:
    """The unit `name` does not run, and nothing can start it."""
    return _reach(name, active=False, file_state="masked")


def _reach(name: str, *, active: bool | None, file_state: str) -> dict[str, Any]:
    runner = SystemRunner()
    try:
        steps = systemd.plan_unit(systemd.read_unit(runner, name), active=active, file_state=file_state)
        if steps and not __opts__["test"]:
            systemd.apply_unit(runner, name, steps)
    except ApplianceError as error:
        return {"name": name, "result": False, "changes": {}, "comment": error.message}
    outcome = None if steps and __opts__["test"] else True
    return {
        "name": name,
        "result": outcome,
        "changes": {"unit": ", ".join(steps)} if steps else {},
        "comment": file_state,
    }
