"""Files are either the old or the new ones."""

import os
from pathlib import Path

import pytest

from ecs_appliance.core.files import point_symlink, read_optional, read_untrusted, write_atomic, write_changed


def test_writes_with_mode_and_makes_folders(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    write_atomic(target, "text", mode=0o640)
    assert target.read_text() == "text"
    assert target.stat().st_mode & 0o7777 == 0o640


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_atomic(target, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(target, "new")
    assert target.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_write_changed_tells_whether_it_wrote(tmp_path: Path) -> None:
    target = tmp_path / "file"
    assert write_changed(target, "a")
    assert not write_changed(target, "a")
    assert write_changed(target, "a", mode=0o644)
    assert write_changed(target, "b", mode=0o644)


def test_symlink_is_switched_in_place_and_never_replaces_a_folder(tmp_path: Path) -> None:
    link = tmp_path / "link"
    assert point_symlink(link, "one")
    assert point_symlink(link, "two")
    assert not point_symlink(link, "two")
    assert str(link.readlink()) == "two"
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileExistsError):
        point_symlink(tmp_path / "folder", "two")


def test_missing_file_reads_as_none(tmp_path: Path) -> None:
    assert read_optional(tmp_path / "none") is None


def test_untrusted_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_untrusted(file, 5) == b"12345"
    with pytest.raises(OSError, match="longer than 4 bytes"):
        read_untrusted(file, 4)
    with pytest.raises(FileNotFoundError):
        read_untrusted(tmp_path / "none", 5)


def test_untrusted_file_is_neither_link_nor_pipe_nor_folder_nor_device(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "endless").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "link", tmp_path / "endless", tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match=str(other)):
            read_untrusted(other, 5)
