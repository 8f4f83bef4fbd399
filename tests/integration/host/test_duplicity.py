"""Archives made by duplicity itself: complete, from a killed run, damaged, and encrypted to another key."""

import os
import shutil
import time
from pathlib import Path

import pytest

from ecs_appliance.core.runner import CommandError, SystemRunner
from ecs_appliance.host import gpg
from ecs_appliance.host.duplicity import (
    DamagedArchiveError,
    DuplicityArchive,
    file_url,
    find_gaps,
    find_moments,
    is_wrong_key,
)
from tests.archives import Archiver, make_key

FIRST, LATER = 40, 10


@pytest.fixture(scope="module")
def key() -> str:
    return make_key()


@pytest.fixture(scope="module")
def archiver(key: str, tmp_path_factory: pytest.TempPathFactory) -> Archiver:
    """Return an archive with a full backup, an increment, and the leftovers of a killed run."""
    work = tmp_path_factory.mktemp("archive")
    archiver = Archiver(work / "data", work / "the target ü%41", work, key)
    for name, text in {"ecs-pgdump/ecs.pgdump.gz": "dump", "postgresql/file": "of no use"}.items():
        (work / "data" / name).parent.mkdir(parents=True)
        (work / "data" / name).write_text(text)
    for count in (FIRST, LATER, LATER):
        add_documents(work / "data/ecs-storage-vault", count)
        archiver.back_up()
        # Backup times have a resolution of one second.
        time.sleep(1.1)
    archiver.cut_off_last()
    return archiver


def add_documents(vault: Path, count: int) -> None:
    vault.mkdir(exist_ok=True)
    there = len(list(vault.iterdir()))
    for number in range(there, there + count):
        (vault / f"document {number} ü").write_bytes(os.urandom(100_000))


def sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.iterdir()}


def opened(target: Path, key: str, work: Path) -> DuplicityArchive:
    keys = work / "keys"
    keys.mkdir(mode=0o700)
    gpg.import_keys(SystemRunner(), keys, key.encode())
    return DuplicityArchive(SystemRunner(), file_url(target), keys, work / "cache")


def documents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "ecs-storage-vault").iterdir()}


def test_each_backup_that_ended_comes_back(archiver: Archiver, key: str, tmp_path: Path) -> None:
    archive = opened(archiver.target, key, tmp_path)
    first, later = find_moments(sizes(archiver.target))
    parts: list[float] = []
    archive.restore(later.name, tmp_path / "later", parts.append)
    assert parts == sorted(parts)
    # It reads no further than necessary.
    assert 0.5 < parts[-1] <= 1
    there = documents(tmp_path / "later")
    assert there.items() <= documents(archiver.source).items()
    assert len(there) == FIRST + LATER
    assert sorted(entry.name for entry in (tmp_path / "later").iterdir()) == ["ecs-pgdump", "ecs-storage-vault"]
    listed = archive.list_files(later.name)
    assert {"ecs-pgdump/ecs.pgdump.gz", *(f"ecs-storage-vault/{name}" for name in there)} < set(listed)
    assert len(archive.list_files(first.name)) == len(listed) - LATER


@pytest.mark.parametrize("number", [1, 3])
def test_what_was_in_a_damaged_volume_is_left_out(archiver: Archiver, key: str, tmp_path: Path, number: int) -> None:
    target = tmp_path / "target"
    shutil.copytree(archiver.target, target)
    (volume,) = target.glob(f"duplicity-full.*.vol{number}.difftar.gpg")
    with volume.open("r+b") as file:
        file.seek(5000)
        file.write(b"altered")
    archive = opened(target, key, tmp_path)
    moment = find_moments(sizes(target))[-1].name
    with pytest.raises(DamagedArchiveError):
        archive.restore(moment, tmp_path / "strict", lambda _: None)
    archive.restore(moment, tmp_path / "whole", lambda _: None, damaged=True)
    there, before = documents(tmp_path / "whole"), documents(archiver.source)
    lost = {name for name in archive.list_files(moment) if not (tmp_path / "whole" / name).exists()}
    assert 0 < len(lost) <= 12
    # At most two are restored in part: those that cross the volume's boundaries.
    assert sum(content != before[name] for name, content in there.items()) <= 2


def test_a_volume_less_is_told_of(archiver: Archiver, tmp_path: Path) -> None:
    names = sizes(archiver.target)
    gone = next(name for name in names if ".vol2." in name and "full" in name)
    time_of_it = gone.split(".")[1]
    left = {name: size for name, size in names.items() if name != gone}
    assert find_gaps(left) == [f"volume 2 of {time_of_it}"]
    assert find_moments(left) == []


def test_another_key_does_not_open_it(archiver: Archiver, tmp_path: Path) -> None:
    archive = opened(archiver.target, make_key(), tmp_path)
    with pytest.raises(CommandError) as caught:
        archive.list_files(find_moments(sizes(archiver.target))[-1].name)
    assert is_wrong_key(caught.value)
