"""Take folders back from another account, whatever it has left in them."""

import os
import stat
from pathlib import Path

import pytest

from ecs_appliance.core.reclaim import reclaim

OTHER = 1234


def owners(folder: Path) -> set[tuple[int, int, str]]:
    seen = [folder, *folder.rglob("*")]
    return {(path.lstat().st_uid, path.lstat().st_gid, oct(stat.S_IMODE(path.lstat().st_mode))) for path in seen}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "inner").mkdir(parents=True, mode=0o777)
    (top / "inner" / "file").write_text("kept")
    (top / "inner" / "file").chmod(0o4777)
    for path in (top, *top.rglob("*")):
        os.chown(path, OTHER, OTHER)
    top.chmod(0o777)
    (top / "inner").chmod(0o777)
    (top / "inner" / "file").chmod(0o4777)
    return top


def test_everything_is_taken_once(folder: Path) -> None:
    found = reclaim(folder, group=5)
    assert found.given == [str(folder), f"{folder}/inner", f"{folder}/inner/file"]
    assert owners(folder) == {(0, 5, "0o755")}
    assert (folder / "inner" / "file").read_text() == "kept"
    assert reclaim(folder, group=5).changes() == {}


def test_links_and_pipes_go_and_lead_nowhere(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    (victim / "secret").write_text("root's")
    (folder / "inner" / "folder").symlink_to(victim)
    (folder / "file").symlink_to(victim / "secret")
    os.mkfifo(folder / "pipe")
    before = owners(victim)
    found = reclaim(folder, group=5)
    assert found.removed == [f"{folder}/file", f"{folder}/inner/folder", f"{folder}/pipe"]
    assert owners(victim) == before
    assert sorted(path.name for path in folder.rglob("*")) == ["file", "inner"]


def test_looking_changes_nothing(folder: Path) -> None:
    (folder / "link").symlink_to("/root")
    before = owners(folder)
    assert set(reclaim(folder, group=5, dry=True).changes()) == {
        *(str(folder), f"{folder}/inner", f"{folder}/inner/file", f"{folder}/link"),
    }
    assert owners(folder) == before


def test_folder_alone_is_taken_and_a_link_refused(folder: Path, tmp_path: Path) -> None:
    assert reclaim(folder, group=0, deep=False).given == [str(folder)]
    assert (folder / "inner").stat().st_uid == OTHER
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(OSError, match="link"):
        reclaim(link, group=0)
    assert reclaim(tmp_path / "nothing", group=0).changes() == {}
