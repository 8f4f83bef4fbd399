import io
import re

import pytest

from ecs_appliance.core.steps import Steps
from lab.progress import PlainProgress, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (59.4, "59 s"), (60.0, "1 min 00 s"), (125.2, "2 min 05 s")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_step_is_one_line_when_it_has_ended() -> None:
    stream = io.StringIO()
    with PlainProgress(stream) as progress, Steps([progress]).step("base", "base image"):
        assert stream.getvalue() == ""
    assert re.fullmatch(rf" ✓ {'base image':<46} {{4}}\d\.\d s\n", stream.getvalue())


def test_a_failed_step_is_marked() -> None:
    stream = io.StringIO()
    with (
        pytest.raises(ValueError, match="no"),
        PlainProgress(stream) as progress,
        Steps([progress]).step("base", "base image"),
    ):
        raise ValueError("no")
    assert stream.getvalue().startswith(" ✗ base image ")


def test_notes_come_indented_and_only_once() -> None:
    stream = io.StringIO()
    with PlainProgress(stream) as progress:
        for text in ("building", "building", "", "starting"):
            progress.note(text)
    assert stream.getvalue() == "     building\n     starting\n"
