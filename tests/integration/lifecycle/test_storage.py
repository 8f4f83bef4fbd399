"""Moves of data can be interrupted at any point without losing any."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecs_appliance.core.errors import ApplianceError, LatchedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import CommandError, Result, SystemRunner
from ecs_appliance.lifecycle.storage import Relocation, check_volume, relocate
from tests.fakes import Answer, AnsweringRunner

MOVE = Relocation("/var/lib/thing", "/data/thing")


class PowerCutError(Exception):
    """Simulates a power failure."""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    place = tmp_path / "var/lib/thing"
    (place / "deep").mkdir(parents=True)
    (place / "deep" / "row").write_text("kept")
    (place / "link").symlink_to("deep/row")
    return Paths(tmp_path)


def test_contents_move_once_and_the_place_leads_there(paths: Paths) -> None:
    for _ in range(2):
        relocate(paths, SystemRunner(), MOVE)
        assert paths.at("/var/lib/thing").is_symlink()
        assert paths.at("/data/thing/deep/row").read_text() == "kept"
        assert paths.at("/var/lib/thing/link").read_text() == "kept"
    assert sorted(entry.name for entry in paths.at("/var/lib").iterdir()) == ["thing"]
    assert sorted(entry.name for entry in paths.at("/data").iterdir()) == ["thing"]


@pytest.mark.parametrize("calls", range(1, 12))
def test_a_move_cut_off_anywhere_is_finished_by_the_next_start(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    left = [calls]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise PowerCutError
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patched:
        for name in ("rename", "mkdir", "symlink_to", "replace", "rmdir"):
            patched.setattr(Path, name, counted(getattr(Path, name)))
        with contextlib.suppress(PowerCutError):
            relocate(paths, SystemRunner(), MOVE)
    relocate(paths, SystemRunner(), MOVE)
    assert paths.at("/var/lib/thing").is_symlink()
    assert paths.at("/var/lib/thing/deep/row").read_text() == "kept"


def test_a_volume_with_data_wins_and_nothing_is_deleted(paths: Paths) -> None:
    paths.at("/data/thing").mkdir(parents=True)
    paths.at("/data/thing/old").write_text("from the old machine")
    relocate(paths, SystemRunner(), MOVE)
    assert paths.at("/var/lib/thing/old").read_text() == "from the old machine"
    (kept,) = paths.at("/var/lib").glob("thing.before-*")
    assert (kept / "deep" / "row").read_text() == "kept"


def test_a_failed_copy_leaves_the_place_as_it_was(paths: Paths) -> None:
    class NoRsync(SystemRunner):
        def run(self, *_: Any, **__: Any) -> Result:
            raise ApplianceError("disk full")

    with pytest.raises(ApplianceError, match="disk full"):
        relocate(paths, NoRsync(), MOVE)
    assert (paths.at("/var/lib/thing") / "deep" / "row").read_text() == "kept"
    assert not paths.at("/var/lib/thing").is_symlink()


def test_what_a_failed_move_stopped_runs_again(paths: Paths) -> None:
    active = {"thing.service"}

    def answer(argv: list[str]) -> Answer:
        match argv:
            case ["systemctl", "is-active", _, unit]:
                return (0 if unit in active else 3, "", "")
            case ["systemctl", verb, unit]:
                (active.add if verb == "start" else active.discard)(unit)
                return (0, "", "")
        assert not active, "copied from under a service that runs"
        return (23, "", "rsync: No space left on device (28)")

    move = Relocation(MOVE.link, MOVE.target, ("thing.service", "idle.service"))
    for _ in range(2):
        with pytest.raises(CommandError, match="No space left"):
            relocate(paths, AnsweringRunner(answer), move)
        assert active == {"thing.service"}


def test_a_volume_that_is_not_mounted_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(LatchedError, match="no volume is mounted at /data"):
        check_volume(Paths(tmp_path), "data", ignored=False)
    check_volume(Paths(tmp_path), "data", ignored=True)
    assert list(tmp_path.iterdir()) == []
