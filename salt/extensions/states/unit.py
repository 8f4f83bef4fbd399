"""States of systemd units. All units are queried in one call; Salt's service states need several calls per unit."""

from collections.abc import Mapping, Sequence
from typing import Any

from ecs_appliance.converge.states import guarded
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host import systemd

# Injected by Salt: the minion's options, data shared by the states of a run, all its states, and the results so far.
__opts__: dict[str, Any]
__context__: dict[str, Any]
__lowstate__: Sequence[Mapping[str, Any]]
__running__: Mapping[str, Mapping[str, Any]]
ASKED = "units of the appliance"


@guarded
def running(name: str) -> dict[str, Any]:
    """Ensure the unit `name` is active now and enabled for the next boot."""
    return _reach(name, active=True, file_state="enabled")


@guarded
def enabled(name: str) -> dict[str, Any]:
    """Ensure the unit `name` is enabled for the next boot; whether it runs now does not matter."""
    return _reach(name, active=None, file_state="enabled")


@guarded
def masked(name: str) -> dict[str, Any]:
    """Ensure the unit `name` does not run and cannot be started."""
    return _reach(name, active=False, file_state="masked")


def _reach(name: str, *, active: bool | None, file_state: str) -> dict[str, Any]:
    runner = SystemRunner()
    steps = systemd.plan_unit(_read(runner, name), active=active, file_state=file_state)
    if steps and not __opts__["test"]:
        systemd.apply_unit(runner, name, steps)
    outcome = None if steps and __opts__["test"] else True
    return {
        "name": name,
        "result": outcome,
        "changes": {"unit": ", ".join(steps)} if steps else {},
        "comment": file_state,
    }


def _read(runner: SystemRunner, name: str) -> systemd.UnitState:
    """Return the state of unit `name`; all units are queried at once until a state has changed something."""
    if any(result.get("changes") for result in __running__.values()):
        return systemd.read_units(runner, [name])[name]
    if name not in __context__.get(ASKED, ()):
        # A state that is called individually is not in the list of the run.
        units = {name, *(low["name"] for low in __lowstate__ if low["state"] == "unit")}
        __context__[ASKED] = systemd.read_units(runner, sorted(units))
    state: systemd.UnitState = __context__[ASKED][name]
    return state
