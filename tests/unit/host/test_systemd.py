"""Which verbs bring a unit to its intended state."""

import pytest

from ecs_appliance.host.systemd import UnitState, plan_unit


@pytest.mark.parametrize(
    ("state", "active", "file_state", "verbs"),
    [
        (UnitState(True, "enabled"), True, "enabled", ()),
        (UnitState(False, "enabled"), True, "enabled", ("start",)),
        (UnitState(False, "disabled"), None, "enabled", ("enable",)),
        (UnitState(False, "masked"), True, "enabled", ("unmask", "enable", "start")),
        (UnitState(True, "enabled"), False, "masked", ("stop", "mask")),
        (UnitState(False, "masked"), False, "masked", ()),
        (UnitState(True, "static"), True, "enabled", ()),
    ],
)
def test_only_what_is_missing_is_done(
    state: UnitState, active: bool | None, file_state: str, verbs: tuple[str, ...]
) -> None:
    assert plan_unit(state, active=active, file_state=file_state) == verbs
