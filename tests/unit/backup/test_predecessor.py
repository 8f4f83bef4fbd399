"""Restoring an old archive resumes after any interruption, and missing files are never taken for restored ones."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from ecs_appliance.backup import predecessor, restore
from ecs_appliance.backup.predecessor import Predecessor
from ecs_appliance.backup.run import Installation
from ecs_appliance.backup.target import OLD_ARCHIVE
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.model import Env
from ecs_appliance.host.duplicity import DuplicityArchive, Moment
from tests.fakes import AnsweringRunner

MOMENT, LATER = "20161201T223000Z", "20161202T223000Z"
DUMP = "ecs-pgdump/ecs.pgdump.gz"
DOCUMENTS = ("ecs-storage-vault/a/1", "ecs-storage-vault/b/2")


class PowerCutError(BaseException):
    """An interruption that no code catches."""


@dataclass
class Kept:
    """An archive of `files`; those in `lost` are listed, but missing."""

    cache: Path
    files: list[str]
    lost: list[str] = field(default_factory=list)

    def list_files(self, moment: str) -> list[str]:
        folders = {str(folder) for file in self.files for folder in Path(file).parents}
        return [*sorted(folders), *self.files, "postgresql/file"]

    def restore(
        self, moment: str, target: Path, on_progress: Callable[[float], None], *, damaged: bool = False
    ) -> None:
        for name in {*self.files, "postgresql/file"} - set(self.lost):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(moment)


class WithoutServer(Predecessor):
    """The database does not matter here."""

    def move_aside(self) -> list[str]:
        return []


@pytest.fixture
def machine(tmp_path: Path) -> Installation:
    """Return a machine with data, including the document that archives may have lost."""
    for name in ("ecs-storage-vault/a/1", "ecs-ca/ca.cert.pem"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        (tmp_path / "data" / name).write_text("present")
    (tmp_path / "data/ecs-pgdump").mkdir()
    env = Env.model_construct()
    return Installation(Paths(tmp_path), AnsweringRunner(lambda _: (0, "", "")), env)


def source(machine: Installation, lost: list[str] | None = None) -> Predecessor:
    archive: Any = Kept(machine.paths.volatile / "duplicity", [DUMP, *DOCUMENTS], lost or [])
    return WithoutServer(
        machine, cast("DuplicityArchive", archive), "there", (Moment(MOMENT, 9), Moment(LATER, 9)), (), ()
    )


def contents(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_text() for file in files}


def restored(machine: Installation, moment: str) -> None:
    data = machine.paths.data
    found = contents(data)
    assert {name: found[name] for name in (DUMP, *DOCUMENTS)} == dict.fromkeys((DUMP, *DOCUMENTS), moment)
    assert found["ecs-ca/ca.cert.pem"] == "present"
    assert "present" in [text for name, text in found.items() if name.startswith("ecs-storage-vault.before-")]
    assert not any(name.startswith((".old-archive", "postgresql")) for name in found)


def test_existing_files_give_way_and_others_come(machine: Installation) -> None:
    assert source(machine).restore_files(MOMENT, lambda _: None) == ()
    restored(machine, MOMENT)
    assert machine.paths.backup_repository.read_text() == f"{OLD_ARCHIVE}there\n"


def test_a_machine_that_has_a_repository_keeps_it(machine: Installation) -> None:
    place = machine.paths.backup_repository
    place.parent.mkdir(parents=True)
    place.write_text("a repository of its own\n")
    source(machine).restore_files(MOMENT, lambda _: None)
    assert place.read_text() == "a repository of its own\n"


@pytest.mark.parametrize("step", range(1, 9))
def test_wherever_it_is_cut_off_it_goes_on(machine: Installation, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each of the steps that change something."""
    count = 0

    def cut(work: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*values: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                raise PowerCutError
            return work(*values, **named)

        return counted

    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        for owner, name in (
            (Path, "rename"),
            (shutil, "rmtree"),
            (predecessor, "write_atomic"),
            (restore, "rename_aside"),
        ):
            patch.setattr(owner, name, cut(getattr(owner, name)))
        source(machine).restore_files(MOMENT, lambda _: None)
        # There are fewer steps: interrupt it right after the end.
        raise PowerCutError
    assert source(machine).restore_files(MOMENT, lambda _: None) == ()
    restored(machine, MOMENT)


def test_what_was_fetched_of_one_moment_is_not_taken_for_another(
    machine: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        patch.setattr(predecessor, "write_atomic", lambda *_: (_ for _ in ()).throw(PowerCutError))
        source(machine).restore_files(MOMENT, lambda _: None)
    source(machine).restore_files(LATER, lambda _: None)
    restored(machine, LATER)


def test_a_lost_document_is_named_though_the_machine_has_one_of_that_name(machine: Installation) -> None:
    lost = ["ecs-storage-vault/a/1"]
    assert source(machine, lost).restore_files(MOMENT, lambda _: None) == ("a/1",)


def test_without_its_dump_nothing_is_touched(machine: Installation) -> None:
    before = contents(machine.paths.data)
    with pytest.raises(ApplianceError, match=f"1 files are lost, among them {DUMP}"):
        source(machine, [DUMP]).restore_files(MOMENT, lambda _: None)
    now = {name: text for name, text in contents(machine.paths.data).items() if not name.startswith(".old")}
    assert now == before


def test_a_moment_is_chosen_by_its_name_or_by_a_time(machine: Installation) -> None:
    old = source(machine)
    assert old.choose("", None).id == LATER
    assert old.choose("20161201", None).id == MOMENT
    assert old.choose("", Moment(LATER, 0).time).id == LATER
    assert old.choose("", Moment("20161202T222959Z", 0).time).id == MOMENT
    with pytest.raises(RefusedError, match="matches 2 backups") as caught:
        old.choose("2016", None)
    assert MOMENT in caught.value.hint
    with pytest.raises(RefusedError, match="the first backup was made at"):
        old.choose("", Moment("20161130T000000Z", 0).time)
