"""A backup that can be made is made."""

from pathlib import Path

import pytest

from ecs_appliance.backup import run
from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.model import Ecs, Env
from ecs_appliance.host import postgres
from tests.fakes import AnsweringRunner

PETABYTE = 10**15


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> run.Installation:
    """Return a machine whose database server answers."""
    (tmp_path / "data/ecs-pgdump").mkdir(parents=True)
    monkeypatch.setattr(postgres, "answers", lambda _: True)
    env = Env.model_construct(ecs=Ecs.model_construct(database="ecs"))
    return run.Installation(Paths(tmp_path), AnsweringRunner(lambda _: (0, "", "")), env)


def test_without_room_for_its_dump_the_database_is_still_backed_up(
    machine: run.Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "database_size", lambda _: PETABYTE)
    assert "1000000.0 GB are needed" in run.try_to_dump(machine)
    assert list(machine.paths.pgdump.iterdir()) == []


def test_a_folder_that_takes_no_dump_does_not_prevent_a_backup(
    machine: run.Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "database_size", lambda _: 0)
    machine.paths.pgdump.rmdir()
    assert str(machine.paths.pgdump) in run.try_to_dump(machine)


def test_a_server_that_is_down_ends_the_backup(machine: run.Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "database_size", lambda _: PETABYTE)
    monkeypatch.setattr(postgres, "answers", lambda _: False)
    with pytest.raises(RefusedError):
        run.try_to_dump(machine)
