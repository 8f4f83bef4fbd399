"""A backup that can be made is made."""

from pathlib import Path

import pytest

from ecs_appliance.backup import run
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.model import Ecs, Env
from ecs_appliance.host import postgres
from tests.fakes import AnsweringRunner

PETABYTE = 10**15


def test_without_room_for_its_dump_the_database_is_still_backed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data/ecs-pgdump").mkdir(parents=True)
    monkeypatch.setattr(postgres, "database_size", lambda _: PETABYTE)
    env = Env.model_construct(ecs=Ecs.model_construct(database="ecs"))
    reason = run.try_to_dump(run.Machine(Paths(tmp_path), AnsweringRunner(lambda _: (0, "", "")), env))
    assert "1000000.0 GB are needed" in reason
    assert list((tmp_path / "data/ecs-pgdump").iterdir()) == []
