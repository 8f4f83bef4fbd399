"""Files of another release are removed, and nothing else."""

from pathlib import Path

import pytest

from ecs_appliance.converge.installed import (
    COMMANDS,
    SHARE,
    SHARED,
    UNITS,
    files_of,
    is_recorded,
    plan_removal,
    plan_shared,
    remove_others,
    write_shared,
)
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import CommandError
from tests.fakes import Answer, AnsweringRunner

CHECKOUT = Path(__file__).parents[3]
OLD = ("old.service", "old.service.d/10-sandbox.conf", "old.timer", "old@.service", "old.slice", "kept.service")
NEW = ("kept.service", "kept.service.d/10-sandbox.conf")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return a machine converged by the release `old`, with files of the operator's too; `new` is now active."""
    paths = Paths(tmp_path)
    release(paths, "old", OLD, ("old.sh", "kept.sh"))
    release(paths, "new", NEW, ("kept.sh", "new.sh"))
    activate(paths, "old")
    remove_others(paths, AnsweringRunner(done), plan_removal(paths))
    for name in (*files_of(paths.appliance), f"{UNITS}/foreign.timer", f"{COMMANDS}/foreign.sh"):
        paths.at(name).parent.mkdir(parents=True, exist_ok=True)
        paths.at(name).touch()
    activate(paths, "new")
    return paths


def release(paths: Paths, name: str, units: tuple[str, ...], commands: tuple[str, ...]) -> None:
    folder = paths.releases / name
    for file in (
        *(f"salt/states/appliance/files/units/{unit}" for unit in units),
        *(f"commands/{c}" for c in commands),
    ):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def activate(paths: Paths, name: str) -> None:
    paths.appliance.unlink(missing_ok=True)
    paths.appliance.symlink_to(paths.releases / name)


def done(_: list[str]) -> Answer:
    return 0, "", ""


def there(paths: Paths) -> set[str]:
    return {f"/{path.relative_to(paths.root)}" for path in paths.at("/usr/local").rglob("*") if path.is_file()}


FOREIGN = {f"{UNITS}/foreign.timer", f"{COMMANDS}/foreign.sh"}
LEFT = {f"{UNITS}/kept.service", f"{COMMANDS}/kept.sh", *FOREIGN}


def test_what_the_active_release_lacks_is_stopped_disabled_and_removed(paths: Paths) -> None:
    runner = AnsweringRunner(done)
    assert not is_recorded(paths)
    remove_others(paths, runner, plan_removal(paths))
    assert there(paths) == LEFT
    assert not paths.at(f"{UNITS}/old.service.d").exists()
    assert [argv[1:] for argv in runner.asked if argv[1] != "reset-failed"] == [
        ["stop", "old.service"],
        ["disable", "old.service"],
        ["disable", "old.slice"],
        ["stop", "old.timer"],
        ["disable", "old.timer"],
        ["stop", "old@*.service"],
        ["disable", "old@.service"],
    ]
    assert is_recorded(paths)
    assert plan_removal(paths) == []


def test_on_the_way_back_the_same_holds(paths: Paths) -> None:
    runner = AnsweringRunner(done)
    remove_others(paths, runner, plan_removal(paths))
    activate(paths, "old")
    remove_others(paths, runner, plan_removal(paths))
    assert there(paths) == LEFT
    assert set(plan_removal(paths)) == set()


@pytest.mark.parametrize("calls", range(7))
def test_cut_off_anywhere_it_is_finished_by_the_next_converge(paths: Paths, calls: int) -> None:
    left = [calls]

    def answer(_: list[str]) -> Answer:
        left[0] -= 1
        return (1, "", "no") if left[0] < 0 else (0, "", "")

    with pytest.raises(CommandError):
        remove_others(paths, AnsweringRunner(answer), plan_removal(paths))
    assert not is_recorded(paths)
    remove_others(paths, AnsweringRunner(done), plan_removal(paths))
    assert there(paths) == LEFT


def test_the_files_of_this_release_are_known() -> None:
    files = files_of(CHECKOUT)
    assert {f"{UNITS}/appliance.service", f"{UNITS}/prepare-env.service.d/10-sandbox.conf"} < files
    assert f"{COMMANDS}/create-internal-user.sh" in files
    assert f"{COMMANDS}/env.include" not in files


def test_manual_pages_and_completion_are_written_where_they_differ_and_go_with_their_release(paths: Paths) -> None:
    names = ("man/man8/appliance.8", "zsh/site-functions/_appliance")
    for name in names:
        page = paths.appliance / SHARED / name
        page.parent.mkdir(parents=True)
        page.write_text(name)
    places = {paths.at(f"{SHARE}/{name}"): name.encode() for name in names}
    assert plan_shared(paths) == places
    write_shared(plan_shared(paths))
    assert [path.stat().st_mode & 0o777 for path in places] == [0o644, 0o644]
    assert plan_shared(paths) == {}
    first = next(iter(places))
    first.write_text("edited")
    assert list(plan_shared(paths)) == [first]
    remove_others(paths, AnsweringRunner(done), plan_removal(paths))
    activate(paths, "old")
    assert set(plan_removal(paths)) >= {f"{SHARE}/{name}" for name in names}
    remove_others(paths, AnsweringRunner(done), plan_removal(paths))
    assert not any(path.exists() for path in places)
