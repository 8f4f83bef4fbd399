import os
from pathlib import Path

from ecs_appliance.core.paths import Paths
from lab.caches import copy_missing, plan_mounts, provide_downloads, remove_old, save_downloads
from lab.state import MachineFolder


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_only_what_is_missing_or_different_is_copied(tmp_path: Path) -> None:
    for name, text in (("a.deb", "new"), ("pool/b.deb", "whole"), ("c.deb", "same")):
        write(tmp_path / "from" / name, text)
    write(tmp_path / "to/pool/b.deb", "part")
    write(tmp_path / "to/c.deb", "same")
    assert copy_missing(tmp_path / "from", tmp_path / "to") == 2
    assert (tmp_path / "to/pool/b.deb").read_text() == "whole"


def test_locks_and_unfinished_downloads_stay(tmp_path: Path) -> None:
    write(tmp_path / "from/lock", "")
    write(tmp_path / "from/partial/a.deb", "half")
    assert copy_missing(tmp_path / "from", tmp_path / "to") == 0


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", "of this host")
    (tmp_path / "from").mkdir()
    (tmp_path / "from/a.deb").symlink_to(secret)
    assert copy_missing(tmp_path / "from", tmp_path / "to") == 0


def test_old_downloads_are_forgotten(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.deb", ""), write(tmp_path / "new.deb", "")
    os.utime(old, (1000, 1000))
    remove_old(tmp_path, before=2000)
    assert (old.exists(), new.exists()) == (False, True)


def test_what_one_machine_downloads_the_next_one_has(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    first, second = MachineFolder(tmp_path / "machines/a"), MachineFolder(tmp_path / "machines/b")
    provide_downloads(first, paths)
    write(first.path / "apt/a.deb", "package")
    save_downloads(first, paths)
    provide_downloads(second, paths)
    assert (second.path / "apt/a.deb").read_text() == "package"


def test_every_machine_has_archives_of_its_own(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    own = [
        {mount.source for mount in plan_mounts(MachineFolder(tmp_path / name), paths) if "archives" in mount.target}
        for name in "ab"
    ]
    assert own[0].isdisjoint(own[1])
