"""Reading a file returns all of its bytes or fails, and never blocks."""

import os
from pathlib import Path

import pytest

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError
from ecs_appliance.env.check import load
from ecs_appliance.env.decoding import LARGEST, read, read_start


def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "env.yml"
    file.write_bytes(b"#" * LARGEST)
    assert len(read(file)) == LARGEST
    file.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(ApplianceError, match=r"env\.yml is larger than 1024 KiB"):
        read(file)


def test_who_reports_the_size_himself_sees_that_it_is_too_large(tmp_path: Path) -> None:
    file = tmp_path / "env.yml"
    file.write_bytes(b"#" * (LARGEST + 1000))
    assert len(read_start(file)) == LARGEST + 1
    with pytest.raises(InvalidEnvError, match="larger than 1024 KiB: this is no"):
        load(file)


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_bytes(b"text")
    (tmp_path / "link").symlink_to("env.yml")
    assert read(tmp_path / "link") == b"text"


def test_nothing_but_a_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for other in (tmp_path / "pipe", tmp_path / "link", Path("/dev/zero")):
        with pytest.raises(ApplianceError, match=f"cannot read {other}: it is not a regular file"):
            read(other)
    with pytest.raises(ApplianceError, match=f"cannot read {tmp_path}: Is a directory"):
        read(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nothing")
    for name in ("none", "dangling"):
        with pytest.raises(ApplianceError, match=f"cannot read .*{name}: No such file"):
            read(tmp_path / name)
