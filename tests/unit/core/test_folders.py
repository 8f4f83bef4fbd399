"""Root never follows another account's links."""

import os
from pathlib import Path

import pytest

from ecs_appliance.core import folders
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.folders import UntrustedError


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").touch()
    return tmp_path / "victim"


@pytest.fixture
def others(tmp_path: Path, victim: Path) -> Path:
    """Return a world-writable folder with a link to the victim."""
    folder = tmp_path / "others"
    folder.mkdir()
    (folder / "link").symlink_to(victim)
    folder.chmod(0o777)
    return folder


def test_a_link_of_ours_leads_on(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "there").symlink_to("victim")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "link").symlink_to("../there/file")
    assert folders.real_path(tmp_path / "deep" / "link") == victim / "file"
    assert folders.real_path(tmp_path / "there" / "new" / "name") == victim / "new" / "name"


@pytest.mark.parametrize("name", ["link", "link/file", "link/new"])
def test_a_link_of_somebody_is_refused(others: Path, name: str) -> None:
    with pytest.raises(UntrustedError, match="is a link in a folder that another account can write to"):
        folders.real_path(others / name)


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UntrustedError):
        folders.real_path(tmp_path / "a")


def test_what_a_link_leads_to_is_not_emptied(others: Path, tmp_path: Path, victim: Path) -> None:
    (tmp_path / "own").symlink_to(victim)
    for link in (others / "link", tmp_path / "own"):
        with pytest.raises(UntrustedError):
            folders.empty(link)
    folders.empty(others)
    assert list(others.iterdir()) == []
    assert (victim / "file").exists()


def test_what_is_run_is_roots_all_the_way(tmp_path: Path, others: Path) -> None:
    mine = tmp_path / "hook.sh"
    mine.touch(mode=0o755)
    folders.require_ours(mine, "hook")
    for bad in (others / "hook.sh", tmp_path / "open.sh"):
        bad.touch()
        bad.chmod(0o777 if bad.name == "open.sh" else 0o755)
        with pytest.raises(ApplianceError, match="is not run"):
            folders.require_ours(bad, "hook")


def test_a_file_of_another_account_is_not_ours() -> None:
    assert folders.is_ours(Path("/"))
    assert os.geteuid() != 0 or folders.is_ours(Path("/etc/passwd"))
