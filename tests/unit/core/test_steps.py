"""Steps notify their listeners."""

import logging

import pytest

from ecs_appliance.core.steps import StepEvent, Steps, logged


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


def test_the_journal_tells_how_long_a_step_took_but_not_of_one_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        with logged("first"):
            pass
        with pytest.raises(ValueError, match="boom"), logged("second"):
            raise ValueError("boom")
    said = [record.getMessage() for record in caplog.records]
    assert (said[0], said[2:]) == ("first …", ["second …"])
    assert said[1].startswith("first: done in ")
