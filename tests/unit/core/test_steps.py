"""Steps tell their listeners."""

import pytest

from ecs_appliance.core.steps import StepEvent, Steps


def test_listeners_hear_of_begin_end_and_failure() -> None:
    heard: list[StepEvent] = []
    steps = Steps([heard.append])
    with steps.step("one", "first"):
        pass
    with pytest.raises(ValueError, match="boom"), steps.step("two", "second"):
        raise ValueError("boom")
    assert [(event.name, event.state) for event in heard] == [
        ("one", "running"),
        ("one", "done"),
        ("two", "running"),
        ("two", "failed"),
    ]
    assert heard[-1].error == "boom"
    assert list(steps.seconds) == ["one"]
