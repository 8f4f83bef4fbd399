"""What is kept of a restored backup: files, folders and links to siblings, and nothing else that has an effect."""

import os
import stat
from pathlib import Path

import pytest

from ecs_appliance.backup.restored import disarm, stays


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "ecs-ca" / "deep").mkdir(parents=True)
    (folder / "ecs-ca" / "file").write_text("kept")
    (folder / "ecs-ca" / "good").symlink_to("deep/x")
    return folder


def found(data: Path, *names: str) -> tuple[str, ...]:
    return disarm(data, names or ("ecs-ca",), data / ".aside")


def test_what_is_data_stays(data: Path) -> None:
    assert found(data, "ecs-ca", "never-was") == ()
    assert sorted(each.name for each in (data / "ecs-ca").iterdir()) == ["deep", "file", "good"]
    assert not (data / ".aside").exists()


def test_what_leads_out_is_set_aside_and_named(data: Path) -> None:
    (data / "ecs-ca" / "deep" / "bad").symlink_to("/etc")
    (data / "ecs-ca" / "up").symlink_to("deep/../../etc")
    (data / "ecs-gpg").symlink_to("/root")
    os.mkfifo(data / "ecs-ca" / "pipe")
    lines = found(data, "ecs-ca", "ecs-gpg")
    assert len(lines) == len(list((data / ".aside").iterdir())) == 4
    assert any("ecs-ca/deep/bad: a link to /etc, moved aside to" in line for line in lines)
    assert any("ecs-gpg: not a folder but a link" in line for line in lines)
    assert not os.path.lexists(data / "ecs-gpg")
    assert stat.S_IMODE((data / ".aside").stat().st_mode) == 0o700
    assert found(data, "ecs-ca", "ecs-gpg") == ()


def test_nothing_runs_with_its_owners_rights(data: Path) -> None:
    (data / "ecs-ca" / "file").chmod(0o6755)
    (data / "ecs-ca" / "deep").chmod(0o2755)
    assert found(data) == ("ecs-ca/file: set-user-ID or set-group-ID bit removed",)
    assert stat.S_IMODE((data / "ecs-ca" / "file").stat().st_mode) == 0o755
    assert stat.S_IMODE((data / "ecs-ca" / "deep").stat().st_mode) == 0o755


def test_a_name_cannot_steer_a_terminal(data: Path) -> None:
    (data / "ecs-ca" / "a\x1b[2J\nb").symlink_to("/etc")
    (line,) = found(data)
    assert line.isprintable()


@pytest.mark.parametrize(
    ("target", "inside"), [("a", True), ("a/b", True), ("/a", False), ("..", False), ("a/..", False)]
)
def test_links_to_neighbours_stay(target: str, inside: bool) -> None:
    assert stays(target) is inside
