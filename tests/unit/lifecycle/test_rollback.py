"""Which version a start chooses, and when a new one is rolled back."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from ecs_appliance.app.migration import BootstrapError, MigrationError
from ecs_appliance.core.errors import ApplianceError, DeadlineError, LatchedError
from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.markers import MarkerFolder
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.steps import StepEvent, Steps
from ecs_appliance.env.model import EcsGit, Env
from ecs_appliance.host import docker, dumps
from ecs_appliance.lifecycle import prepare_ecs
from ecs_appliance.lifecycle import run as run_stage
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.prepare_ecs import choose_version, start_database
from ecs_appliance.lifecycle.rollback import (
    BAD,
    DATABASE,
    LONGEST,
    NEXT,
    PIN,
    REBUILD,
    SHORTEST,
    BadVersionError,
    Version,
    built_version,
    note_running,
    planned_version,
    refuse_bad,
    roll_back,
    stuck,
    trial_seconds,
    version_before,
    way_back,
)
from ecs_appliance.lifecycle.run import NotUpError
from ecs_appliance.lifecycle.supervisor import StopRequestedError
from ecs_appliance.reporting.topics import VERSION

OLD, NEW, NEWEST = "0" * 40, "1" * 40, "2" * 40


class Machine:
    """The state of docker and the database; if `database` is None, it does not answer."""

    def __init__(self, folder: Path) -> None:
        self.context = Context(Paths(folder))
        self.images = {OLD, NEW}
        self.database: str | None = "as of old"

    def image_exists(self, runner: object, name: str) -> bool:
        del runner
        return name.removeprefix("ecs/ecs:") in self.images

    def describe(self, *words: object) -> str:
        del words
        if self.database is None:
            raise ApplianceError("it does not answer")
        return self.database

    def version(self, commit: str) -> Version:
        found = built_version(self.context, commit)
        assert found is not None
        return found

    def standing(self) -> list[str]:
        return [alert.message for alert in self.context.alerts.standing(VERSION)]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine on which OLD is running and recorded."""
    made = Machine(tmp_path)
    monkeypatch.setattr(docker, "image_exists", made.image_exists)
    monkeypatch.setattr(dumps, "describe", made.describe)
    note_running(made.context, env(), OLD)
    return made


def env(pin: str = "") -> Env:
    made = Env()
    return made.model_copy(update={"ecs": made.ecs.model_copy(update={"git": EcsGit(commitid=pin)})})


def planned(machine: Machine, pin: str = "") -> str | None:
    found = planned_version(machine.context, env(pin))
    return found.commit if found else None


def test_a_start_takes_what_ran_last(machine: Machine) -> None:
    machine.context.tags.set("last_build_ecs", NEW)
    assert planned(machine) == OLD


def test_where_nothing_ran_or_its_image_is_gone_a_version_is_built(machine: Machine) -> None:
    machine.images = {NEW}
    assert planned(machine) is None
    machine.images = {OLD}
    machine.context.tags.clear("last_running_ecs")
    assert planned(machine) is None


def test_a_start_takes_what_an_update_has_built_for_it(machine: Machine) -> None:
    machine.context.flags.set(NEXT, NEW)
    assert planned(machine) == NEW
    machine.images = {OLD}
    assert planned(machine) == OLD


@pytest.mark.parametrize("flag", [NEXT, REBUILD])
def test_a_flag_has_a_start_build_what_is_asked_for(machine: Machine, flag: str) -> None:
    machine.context.flags.set(flag)
    assert planned(machine) is None


def test_a_pin_counts_as_asked_for_until_it_is_built(machine: Machine) -> None:
    assert planned(machine, pin="v2") is None
    machine.context.tags.set(PIN, "v2")
    assert planned(machine, pin="v2") == OLD
    assert planned(machine, pin="v3") is None
    assert planned(machine, pin="") == OLD


def test_a_version_that_cannot_be_built_leaves_the_one_that_ran_last(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*words: object) -> Version:
        del words
        raise ApplianceError("no network")

    monkeypatch.setattr(prepare_ecs, "build_version", fail)
    machine.context.flags.set(NEXT)
    assert choose_version(machine.context, env(), Steps([])).commit == OLD
    assert machine.context.flags.get(NEXT) is None
    machine.images = set()
    with pytest.raises(ApplianceError, match="no network"):
        choose_version(machine.context, env(), Steps([]))


def test_a_new_version_can_give_way_where_the_database_is_as_it_was(machine: Machine) -> None:
    before = version_before(machine.context, env(), NEW)
    assert before is not None
    assert before.commit == OLD
    assert set(before.images.own) == {"redis", "memcached"}
    machine.database = "migrated"
    assert version_before(machine.context, env(), NEW) is None
    machine.database = None
    assert version_before(machine.context, env(), NEW) is None


def test_what_ran_last_gives_way_to_nothing(machine: Machine) -> None:
    assert version_before(machine.context, env(), OLD) is None


def test_nothing_gives_way_to_what_is_gone_or_was_never_recorded(machine: Machine) -> None:
    machine.context.tags.clear(DATABASE)
    assert version_before(machine.context, env(), NEW) is None
    machine.context.tags.set(DATABASE, "as of old")
    machine.images = {NEW}
    assert version_before(machine.context, env(), NEW) is None


def test_of_a_database_that_does_not_answer_nothing_is_remembered(machine: Machine) -> None:
    machine.database = None
    note_running(machine.context, env(), OLD)
    assert machine.context.tags.get(DATABASE) is None


@pytest.mark.parametrize("survived", [0, 1, 2])
def test_a_kill_while_it_is_remembered_opens_no_way_back_to_another_database(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    """Whichever tag was written last."""
    machine.database = "migrated"
    written: list[str] = []

    def write(marks: MarkerFolder, name: str, value: str = "") -> None:
        if len(written) == survived:
            raise KeyboardInterrupt
        written.append(name)
        write_atomic(marks.folder / name, value, mode=0o644)

    monkeypatch.setattr(MarkerFolder, "set", write)
    with suppress(KeyboardInterrupt):
        note_running(machine.context, env(), NEW)
    assert len(written) == survived
    assert version_before(machine.context, env(), NEW) is None


def test_a_version_that_gave_way_is_told_and_not_tried_again(machine: Machine) -> None:
    machine.context.flags.set(NEXT, NEW)
    roll_back(machine.context, NEW, machine.version(OLD), ApplianceError("it is slow"))
    assert machine.standing() == [f"version {NEW[:12]} did not come up, {OLD[:12]} is running again: it is slow"]
    assert planned(machine) == OLD
    with pytest.raises(BadVersionError, match="not tried again") as refused:
        refuse_bad(machine.context, NEW)
    assert refused.value.alerted
    refuse_bad(machine.context, NEWEST)
    machine.context.flags.set(REBUILD)
    refuse_bad(machine.context, NEW)


def test_it_is_forgotten_once_another_comes_up_and_not_before(machine: Machine) -> None:
    roll_back(machine.context, NEW, machine.version(OLD), ApplianceError("it is slow"))
    note_running(machine.context, env(), OLD)
    assert (machine.context.tags.get(BAD), len(machine.standing())) == (NEW, 1)
    note_running(machine.context, env(), NEWEST)
    assert (machine.context.tags.get(BAD), machine.standing()) == (None, [])


@pytest.mark.parametrize(
    ("usual", "seconds"), [(None, LONGEST), (1.0, SHORTEST), (20.5, 61.5), (59.0, 177.0), (90.0, LONGEST)]
)
def test_a_new_version_has_three_times_the_usual_time(machine: Machine, usual: float | None, seconds: float) -> None:
    if usual is not None:
        machine.context.page(StepEvent("containers", "starting", "done", usual))
    assert trial_seconds(machine.context) == seconds


def test_a_version_that_changed_the_database_and_stays_away_needs_a_person(machine: Machine) -> None:
    late = DeadlineError("not within 600 s")
    dump = machine.context.paths.pgdump / f"ecs-before-migration.20261129T000000Z.{NEW[:12]}.pgdump"
    dump.parent.mkdir(parents=True)
    dump.touch()
    assert stuck(machine.context, env(), NEW, late) is late
    machine.database = "migrated"
    found = stuck(machine.context, env(), NEW, late)
    assert isinstance(found, LatchedError)
    assert "changed the database" in found.message
    assert found.hint == f"go back to version {OLD[:12]} with {dump}: see the manual, Go back before a migration"
    assert stuck(machine.context, env(), OLD, late) is late
    other = ApplianceError("docker is away")
    assert stuck(machine.context, env(), NEW, other) is other
    machine.database = None
    assert stuck(machine.context, env(), NEW, late) is late


def test_without_a_dump_the_way_back_names_the_version_alone(machine: Machine) -> None:
    assert way_back(machine.context, env()).startswith(f"go back to version {OLD[:12]}: ")


@pytest.fixture
def migrated(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], list[str]]:
    """Return a function that makes the migration to NEW fail, and returns the versions migrated to."""

    def fail_with(error: Exception) -> list[str]:
        brought: list[str] = []

        def bring(context: Context, wanted: Env, version: Version) -> None:
            del context, wanted
            brought.append(version.commit)
            if version.commit == NEW:
                raise error

        monkeypatch.setattr(prepare_ecs, "bring_database", bring)
        return brought

    return fail_with


@pytest.mark.parametrize("error", [MigrationError("it failed"), BootstrapError("it failed")])
def test_a_migration_that_left_the_database_alone_gives_way(
    machine: Machine, migrated: Callable[[Exception], list[str]], error: Exception
) -> None:
    brought = migrated(error)
    assert start_database(machine.context, env(), machine.version(NEW)).commit == OLD
    assert brought == [NEW, OLD]
    assert "it failed" in machine.standing()[0]


def test_where_the_one_before_cannot_be_prepared_either_it_is_not_the_new_one(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(context: Context, wanted: Env, version: Version) -> None:
        del context, wanted
        raise BootstrapError(f"{version.commit[:1]} has no bootstrap")

    monkeypatch.setattr(prepare_ecs, "bring_database", fail)
    with pytest.raises(BootstrapError, match="0 has no bootstrap"):
        start_database(machine.context, env(), machine.version(NEW))
    assert (machine.context.tags.get(BAD), machine.standing()) == (None, [])


def test_a_migration_that_did_not_is_for_a_person(machine: Machine, migrated: Callable[[Exception], list[str]]) -> None:
    brought = migrated(MigrationError("it failed"))
    machine.database = "half migrated"
    with pytest.raises(MigrationError):
        start_database(machine.context, env(), machine.version(NEW))
    assert (brought, machine.standing()) == ([NEW], [])


def test_a_full_disk_is_not_the_versions_fault(machine: Machine, migrated: Callable[[Exception], list[str]]) -> None:
    migrated(ApplianceError("no space left on device"))
    with pytest.raises(ApplianceError, match="no space"):
        start_database(machine.context, env(), machine.version(NEW))
    assert machine.standing() == []


class Serving:
    """The stage `run`, in which the versions in `well` come up and are then stopped, and others fail."""

    def __init__(self, machine: Machine, monkeypatch: pytest.MonkeyPatch, *, well: set[str]) -> None:
        self.machine = machine
        self.well = well
        self.tried: list[tuple[str, float]] = []
        monkeypatch.setattr(run_stage, "_run_containers", self.run_containers)
        monkeypatch.setattr(prepare_ecs, "bring_database", lambda *words: None)
        monkeypatch.setattr(run_stage, "remove_leftovers", lambda *words: None)
        monkeypatch.setattr(run_stage, "select_images", self.select)

    def select(self, context: Context, version: Version) -> None:
        context.tags.set("selected_ecs", version.commit)

    def run_containers(self, context: Context, env: Env, seconds: float) -> None:
        del env
        commit = cast("str", context.tags.get("selected_ecs"))
        self.tried.append((commit, seconds))
        if commit in self.well:
            raise StopRequestedError
        raise NotUpError(DeadlineError(f"{commit[:1]} is not up"))

    def serve(self, commit: str) -> Any:
        self.machine.context.tags.set("selected_ecs", commit)
        run_stage._serve(self.machine.context, env())


def test_a_new_version_that_does_not_come_up_gives_way(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    serving = Serving(machine, monkeypatch, well={OLD})
    with pytest.raises(StopRequestedError):
        serving.serve(NEW)
    assert serving.tried == [(NEW, LONGEST), (OLD, run_stage.UP_SECONDS)]
    assert machine.context.tags.get(BAD) == NEW


def test_where_the_one_before_does_not_come_up_either_it_is_not_the_new_one(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = Serving(machine, monkeypatch, well=set())
    with pytest.raises(DeadlineError, match="0 is not up"):
        serving.serve(NEW)
    assert (machine.context.tags.get(BAD), machine.standing()) == (None, [])


def test_what_ran_last_has_its_full_time(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    serving = Serving(machine, monkeypatch, well=set())
    with pytest.raises(DeadlineError):
        serving.serve(OLD)
    assert serving.tried == [(OLD, run_stage.UP_SECONDS)]


def test_after_a_migration_it_has_its_full_time_and_then_latches(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = Serving(machine, monkeypatch, well={OLD})
    machine.database = "migrated"
    with pytest.raises(LatchedError):
        serving.serve(NEW)
    assert serving.tried == [(NEW, run_stage.UP_SECONDS)]
