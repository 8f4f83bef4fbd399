"""Salt's results become typed reports or clear errors."""

from typing import Any

import pytest

from ecs_appliance.converge.report import ConvergeError, parse_result
from ecs_appliance.core.errors import BusyError
from ecs_appliance.core.log import register_secret


def state(result: bool | None, number: int, **more: Any) -> dict[str, Any]:
    return {"result": result, "__run_num__": number, "comment": "said", "changes": {}, "duration": 12.0, **more}


def test_states_come_in_order_with_their_outcome() -> None:
    report = parse_result(
        {
            "file_|-b_|-/etc/b_|-managed": state(True, 2),
            "pkg_|-packages_|-packages_|-installed": state(True, 0, changes={"git": "1"}),
            "service_|-nginx_|-nginx_|-running": state(None, 1),
            "cmd_|-x_|-x_|-run": state(False, 3),
        },
        seconds=1.5,
    )
    assert [(found.name, found.outcome) for found in report.states] == [
        ("pkg.installed packages", "changed"),
        ("service.running nginx", "would change"),
        ("file.managed b (/etc/b)", "unchanged"),
        ("cmd.run x", "failed"),
    ]
    assert report.summary() == "4 states, 2 changed, 1 failed, 1.5 s"


def test_a_failed_state_is_named_without_secrets() -> None:
    register_secret("sesame open")
    report = parse_result({"cmd_|-x_|-x_|-run": state(False, 0, comment="said sesame open")}, seconds=0)
    with pytest.raises(ConvergeError, match="1 of 1 states failed") as caught:
        report.check()
    assert "sesame open" not in caught.value.message


def test_a_render_error_of_the_operators_own_states_says_where() -> None:
    with pytest.raises(ConvergeError, match="could not be read") as caught:
        parse_result(["Rendering SLS 'base:extra' failed: mapping values"], seconds=0)
    assert "appliance.extra.states" in caught.value.hint


def test_a_run_beside_another_is_busy_not_broken() -> None:
    with pytest.raises(BusyError):
        parse_result(['The function "state.highstate" is running as PID 5 and was started at …'], seconds=0)


@pytest.mark.parametrize("nothing", [{}, None, "", False])
def test_no_result_is_a_failure(nothing: object) -> None:
    with pytest.raises(ConvergeError, match="no result"):
        parse_result(nothing, seconds=0)
