"""Commands that follow a change are due until they have succeeded for the current contents."""

from pathlib import Path

from ecs_appliance.core.content_stamps import contents_digest, is_applied, mark_applied
from ecs_appliance.core.paths import Paths


def test_due_until_marked_and_again_after_a_change(tmp_path: Path) -> None:
    paths, file = Paths(tmp_path), tmp_path / "etc" / "x.conf"
    file.parent.mkdir()
    file.write_text("one")
    before = contents_digest(["/etc/*.conf"], tmp_path)
    assert not is_applied(paths, "x service", before)
    mark_applied(paths, "x service", before)
    assert is_applied(paths, "x service", contents_digest(["/etc/*.conf"], tmp_path))
    file.write_text("two")
    assert not is_applied(paths, "x service", contents_digest(["/etc/*.conf"], tmp_path))


def test_a_new_file_and_a_lost_file_are_changes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    alone = contents_digest(["/*"], tmp_path)
    (tmp_path / "b").write_text("")
    assert contents_digest(["/*"], tmp_path) != alone
    (tmp_path / "b").unlink()
    assert contents_digest(["/*"], tmp_path) == alone


def test_a_damaged_stamp_is_none(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    mark_applied(paths, "x", "one")
    (stamp,) = (paths.state / "applied").iterdir()
    stamp.write_bytes(b"\xff\xfe")
    assert not is_applied(paths, "x", "one")
