"""Work in phases: each is done once it is recorded, and repeated if it was interrupted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.phases import PhaseFile


@dataclass(frozen=True)
class Work:
    phase: Literal["one", "two", "done"]
    found: tuple[str, ...] = ()


@pytest.fixture
def file(tmp_path: Path) -> PhaseFile[Work]:
    return PhaseFile(tmp_path / "work.json", Work, remedy="begin anew")


def adds(word: str) -> Callable[[Work], Work]:
    return lambda state: replace(state, found=(*state.found, f"{word} in {state.phase}"))


def test_all_phases_are_gone_through_and_remembered(file: PhaseFile[Work]) -> None:
    end = file.go_on(Work("one"), adds("a"), adds("b"))
    assert end == Work("done", ("a in one", "b in two"))
    assert (file.read(), file.is_unfinished()) == (end, False)
    assert file.go_on(end, adds("c"), adds("d")) == end


def test_what_was_cut_off_goes_on_in_its_phase(file: PhaseFile[Work]) -> None:
    def cut(_: Work) -> Work:
        raise KeyboardInterrupt

    assert not file.is_unfinished()
    with pytest.raises(KeyboardInterrupt):
        file.go_on(Work("one"), adds("a"), cut)
    state = file.read()
    assert (state, file.is_unfinished()) == (Work("two", ("a in one",)), True)
    assert state is not None
    assert file.go_on(state, cut, adds("b")) == Work("done", ("a in one", "b in two"))


def test_each_phase_but_the_last_has_its_work(file: PhaseFile[Work]) -> None:
    with pytest.raises(ValueError, match="zip"):
        file.go_on(Work("one"), adds("a"))


def test_a_phase_of_a_later_release_is_not_taken_for_the_end(file: PhaseFile[Work]) -> None:
    file.path.write_text('{"phase": "three"}')
    with pytest.raises(ApplianceError, match="phase is no") as caught:
        file.is_unfinished()
    assert caught.value.hint == "begin anew"
