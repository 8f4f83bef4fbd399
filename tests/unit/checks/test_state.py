"""Damaged state files are reported until somebody removes them."""

from pathlib import Path

import pytest

from ecs_appliance.checks import state
from ecs_appliance.checks.check import Machine
from ecs_appliance.core.paths import Paths
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.alerts import Alerts
from ecs_appliance.reporting.backups import read_backups
from ecs_appliance.reporting.status import StatusPage


def test_a_state_that_was_set_aside_is_named_until_it_is_removed(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    seen = Machine(Context(paths))
    for file in (paths.state / "backup.json", paths.www / "status.json", paths.state / "alerts/0.json"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{")
    assert (read_backups(paths).success, StatusPage(paths).shown(), Alerts(paths).standing()) == (None, None, [])
    found = {each.topic: each for each in state.find(seen)}
    assert found.keys() == {"state:0.json", "state:backup.json", "state:status.json"}
    assert found["state:backup.json"].severity == "warning"
    assert found["state:backup.json"].hint.endswith(f"rm {paths.state}/backup.json.damaged")
    for file in paths.root.rglob("*.damaged"):
        file.unlink()
    assert list(state.find(seen)) == []


@pytest.mark.parametrize(
    ("name", "topic"),
    [("recovery", "state:progress"), ("rewind", "state:progress"), ("rewinds", "state:rewinds")],
)
def test_one_that_stays_is_named_with_what_to_do(tmp_path: Path, name: str, topic: str) -> None:
    file: Path = getattr(Paths(tmp_path), name)
    file.parent.mkdir(parents=True)
    file.write_text("")
    (found,) = state.find(Machine(Context(Paths(tmp_path))))
    assert (found.topic, found.severity) == (topic, "critical")
    assert f"{file} is damaged" in found.message
    assert found.hint
