"""Tags and flags."""

from pathlib import Path

from ecs_appliance.core.markers import MarkerFolder


def test_a_mark_is_set_read_and_cleared(tmp_path: Path) -> None:
    marks = MarkerFolder(tmp_path / "tags")
    assert marks.get("last_running_ecs") is None
    marks.set("last_running_ecs", "abc")
    assert marks.get("last_running_ecs") == "abc"
    marks.clear("last_running_ecs")
    marks.clear("last_running_ecs")
    assert marks.get("last_running_ecs") is None


def test_a_damaged_mark_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "last_running_ecs").write_bytes(b"\xff\xfe")
    assert MarkerFolder(tmp_path).get("last_running_ecs") not in (None, "")
