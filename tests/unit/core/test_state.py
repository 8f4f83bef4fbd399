"""State files: of another release, damaged, or lost."""

import json
import logging
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.state import StateFile, find_damaged


@dataclass(frozen=True)
class Part:
    number: int
    name: str = ""


@dataclass(frozen=True)
class Whole:
    kind: Literal["one", "two"]
    at: float
    ok: bool | None = None
    words: tuple[str, ...] = ()
    pair: tuple[str, int] = ("", 0)
    parts: Mapping[str, Part] = field(default_factory=dict)


WHOLE = Whole("two", 1.5, ok=True, words=("ä", "\udce4"), pair=("a", 1), parts={"x": Part(1, "n")})
KEPT = json.loads(json.dumps(asdict(WHOLE)))


@pytest.fixture
def file(tmp_path: Path) -> StateFile[Whole]:
    return StateFile(tmp_path / "whole.json", Whole)


def test_what_was_written_comes_back_for_its_owner_alone(file: StateFile[Whole]) -> None:
    assert file.read() is None
    file.write(WHOLE)
    assert file.read() == WHOLE
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.clear()
    file.clear()
    assert file.read() is None


def test_fields_of_another_release_are_left_out_and_missing_ones_have_their_defaults(file: StateFile[Whole]) -> None:
    file.path.write_text(json.dumps({"kind": "one", "at": 1, "of_tomorrow": {"a": [1]}}))
    found = file.read()
    assert found == Whole("one", 1.0)
    assert isinstance(found.at, float)
    file.path.write_text(json.dumps({**KEPT, "parts": {"x": {"number": 2, "more": 1}}}))
    assert file.read() == replace(WHOLE, parts={"x": Part(2)})


WRONG: list[dict[str, object]] = [
    {"kind": "three"},
    {"kind": None},
    {"kind": ["one"]},
    {"at": "1.5"},
    {"at": True},
    {"at": None},
    {"at": float("nan")},
    {"at": float("inf")},
    {"at": 10**400},
    {"ok": 1},
    {"ok": "true"},
    {"words": "ab"},
    {"words": [1]},
    {"words": {"a": 1}},
    {"pair": ["a"]},
    {"pair": ["a", 1, 2]},
    {"pair": ["a", 1.0]},
    {"pair": ["a", True]},
    {"parts": []},
    {"parts": {"x": None}},
    {"parts": {"x": {}}},
    {"parts": {"x": {"number": "1"}}},
]
DAMAGED = [
    b"",
    b"{",
    b"\xff\xfe\xff",
    b"\0" * 400,
    b"null",
    b"3",
    b'"text"',
    b"[]",
    b"{}",
    b"[" * 100_000,
    *(json.dumps({**KEPT, **wrong}).encode() for wrong in WRONG),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_one_is_told_and_set_aside(
    file: StateFile[Whole], caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file.path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        assert file.read() is None
    assert f"{file.path} was damaged" in caplog.text
    (aside,) = find_damaged([file.path.parent, file.path.parent / "nowhere"])
    assert (aside.name, aside.read_bytes()) == ("whole.json.damaged", content)
    assert not file.path.exists()
    file.write(WHOLE)
    assert file.read() == WHOLE


@pytest.mark.parametrize("content", DAMAGED)
def test_one_that_must_not_be_taken_for_none_stays_and_says_what_to_do(file: StateFile[Whole], content: bytes) -> None:
    careful = StateFile(file.path, Whole, remedy="begin anew")
    assert careful.read() is None
    file.path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(ApplianceError, match=r"whole\.json is damaged: ") as caught:
            careful.read()
        assert caught.value.hint == "begin anew"
    assert file.path.read_bytes() == content
    assert find_damaged([file.path.parent]) == []


def test_what_is_damaged_is_named_but_not_shown(file: StateFile[Whole]) -> None:
    file.path.write_text(json.dumps({**KEPT, "kind": "a secret"}))
    with pytest.raises(ApplianceError, match="is damaged: kind is not of type ") as caught:
        StateFile(file.path, Whole, remedy="begin anew").read()
    assert "a secret" not in str(caught.value)


def test_one_that_cannot_be_set_aside_is_none_all_the_same(
    file: StateFile[Whole], caplog: pytest.LogCaptureFixture
) -> None:
    """As on a filesystem that is read-only for the unit, or without root privileges."""
    file.path.write_text("{")
    (file.path.parent / "whole.json.damaged").mkdir()
    assert file.read() is None
    assert "cannot be set aside" in caplog.text


def test_lists_and_maps_are_state_too(tmp_path: Path) -> None:
    parts = StateFile(tmp_path / "list.json", list[Part])
    parts.write([Part(1), Part(2, "b")])
    assert parts.read() == [Part(1), Part(2, "b")]
    seconds = StateFile(tmp_path / "map.json", dict[str, float])
    seconds.write({"a": 1.5})
    assert seconds.read() == {"a": 1.5}
    seconds.path.write_text('{"a": "long"}')
    assert seconds.read() is None
