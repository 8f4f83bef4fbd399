"""Files are replaced as a whole: there is either the old or the new one."""

import errno
import os
import secrets
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ecs_appliance.core import files
from ecs_appliance.core.files import (
    point_symlink,
    private_folder,
    read_optional,
    read_untrusted,
    write_atomic,
    write_changed,
    write_new,
    write_together,
)


@pytest.fixture(params=["unnamed", "hidden"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Test both ways: unnamed temporary files, and hidden ones where these are not available."""
    if request.param == "hidden":
        monkeypatch.setattr(files, "_open_unnamed", lambda _: None)
    return str(request.param)


def full(_: object) -> None:
    """Fail as on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def names(folder: Path) -> list[str]:
    """Return the names in `folder`."""
    return sorted(entry.name for entry in folder.iterdir())


def test_writes_with_mode_and_makes_folders(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    write_atomic(target, "text", mode=0o640)
    assert target.read_text() == "text"
    assert target.stat().st_mode & 0o7777 == 0o640


@pytest.mark.usefixtures("way")
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_atomic(target, "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space.*file"):
        write_atomic(target, "new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.usefixtures("way")
def test_what_was_planted_under_a_hidden_name_is_never_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, planted = tmp_path / "file", tmp_path / ".file.planted"
    planted.write_text("planted")
    drawn = iter(["planted", "free"])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(drawn))
    target.write_text("old")
    write_atomic(target, "new")
    assert target.read_text() == "new"
    assert names(tmp_path) == [".file.planted", "file"]
    assert list(drawn) == []


def test_a_file_that_is_new_never_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda _: pytest.fail("a hidden name was asked for"))
    write_atomic(tmp_path / "file", "new")
    assert names(tmp_path) == ["file"]


@pytest.mark.usefixtures("way")
def test_a_dangling_symlink_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to("nothing")
    write_atomic(tmp_path / "file", "new")
    assert names(tmp_path) == ["file"]
    assert not (tmp_path / "file").is_symlink()


def test_what_a_killed_run_left_goes_with_the_next_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, other, foreign = (tmp_path / f".file{end}" for end in (".0123456789abcdef", "2.0123456789abcdef", ".swp"))
    for path in (left, other, foreign):
        path.touch()
    write_atomic(tmp_path / "file", "may be one that still runs")
    assert left.exists()
    in_two_minutes = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: in_two_minutes)
    write_atomic(tmp_path / "file", "text")
    assert names(tmp_path) == [foreign.name, other.name, "file"]


def test_leftovers_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / ".file.0123456789abcdef"
    left.touch()
    in_two_minutes = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: in_two_minutes)
    monkeypatch.setattr(os, "geteuid", lambda: left.stat().st_uid + 1)
    write_atomic(tmp_path / "file", "text")
    assert left.exists()


@pytest.mark.usefixtures("way")
def test_a_set_of_files_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write_together({one: "old", two: b"old"})
    sync, synced = os.fsync, list[int]()

    def full_in_the_second(descriptor: int) -> None:
        synced.append(descriptor)
        (full if len(synced) > 1 else sync)(descriptor)

    monkeypatch.setattr(os, "fsync", full_in_the_second)
    with pytest.raises(OSError, match="No space") as caught:
        write_together({one: "new", two: b"new"})
    assert caught.value.filename == str(two)
    assert (one.read_text(), two.read_text()) == ("old", "old")
    assert names(tmp_path) == ["one", "two"]


@pytest.mark.usefixtures("way")
def test_a_folder_in_the_way_of_one_of_a_set_stops_all(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    with pytest.raises(IsADirectoryError, match="two"):
        write_together({tmp_path / "one": "new", tmp_path / "two": "new"})
    assert names(tmp_path) == ["two"]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("put", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nothing")])
def test_a_new_file_replaces_nothing(tmp_path: Path, put: Callable[[Path], None]) -> None:
    target = tmp_path / "deep/file"
    write_new(target, "first", mode=0o640)
    assert (target.read_text(), target.stat().st_mode & 0o7777) == ("first", 0o640)
    with pytest.raises(FileExistsError, match="file"):
        write_new(target, "second")
    assert target.read_text() == "first"
    target.unlink()
    put(target)
    with pytest.raises(FileExistsError, match="file"):
        write_new(target, "second")
    assert names(target.parent) == ["file"]


@pytest.mark.usefixtures("way")
def test_of_many_at_once_one_makes_the_new_file(tmp_path: Path) -> None:
    target = tmp_path / "file"

    def write(number: int) -> int | None:
        try:
            write_new(target, str(number))
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(16) as pool:
        done = [number for number in pool.map(write, range(64)) if number is not None]
    assert [target.read_text()] == [str(number) for number in done]
    assert names(tmp_path) == ["file"]


def test_a_new_file_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(files, "_open_unnamed", lambda _: None)
    monkeypatch.setattr(os, "link", refuse)
    write_new(tmp_path / "file", "first")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "file", "second")
    assert (tmp_path / "file").read_text() == "first"
    assert names(tmp_path) == ["file"]


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


def test_a_private_folder_takes_those_of_killed_processes_with_it(tmp_path: Path) -> None:
    left, living, other = tmp_path / "keys-4194999-abc", tmp_path / "keys-1-abc", tmp_path / "others-4194999-abc"
    for folder in (left, living, other):
        folder.mkdir()
        (folder / "secret").write_text("word")
    with private_folder(tmp_path, "keys") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not left.exists()
    assert sorted(tmp_path.iterdir()) == [living, other]
