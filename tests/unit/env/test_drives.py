"""Environments on real disc images: found, read, and left unchanged."""

import gzip
import io
import zlib
from pathlib import Path

import pytest
from pycdlib import PyCdlib

from ecs_appliance.core.errors import InvalidEnvError
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.activation import activate_found
from ecs_appliance.env.discovery import find_env
from ecs_appliance.env.drives import DriveSource, SystemDrives
from ecs_appliance.env.source import FoundEnv, SourceError, SourceKind
from ecs_appliance.paper.disc import make_disc
from tests.bay import Bay
from tests.fakes import AnsweringRunner

DATA = b"#cloud-config\nappliance: {standby: true}\n"
PACKED = gzip.compress(DATA, mtime=0)
META = b"instance-id: one\n"
SEED = {"user-data": DATA, "meta-data": META, "env.yml.pdf": b"%PDF-1.7\n" * 500}
OPENSTACK = "openstack/latest/user_data"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


@pytest.fixture
def bay(paths: Paths) -> Bay:
    return Bay(paths.root)


@pytest.fixture
def source(paths: Paths, bay: Bay) -> DriveSource:
    return DriveSource("cidata", ("user-data",), SystemDrives(paths, AnsweringRunner(bay.answer)))


class Elsewhere:
    """A source after the drive that remembers whether it was asked."""

    asked = False

    def detect(self) -> bool:
        self.asked = True
        return True

    def get(self) -> FoundEnv | None:
        return FoundEnv(b"from elsewhere", "elsewhere")


def search(paths: Paths, bay: Bay, source: DriveSource, behind: Elsewhere) -> FoundEnv:
    return find_env(paths, AnsweringRunner(bay.answer), sources=[source, behind])


def burn(
    plain: str, rock_ridge: str | None = None, joliet: str | None = None, *, version: str = "1.09", level: int = 3
) -> bytes:
    """Return a disc labelled cidata with the environment under odd names, which make_disc would not use."""
    disc, image = PyCdlib(), io.BytesIO()
    disc.new(
        interchange_level=level,
        vol_ident="cidata",
        joliet=3 if joliet else None,
        rock_ridge=version if rock_ridge else None,
    )
    disc.add_fp(io.BytesIO(DATA), len(DATA), iso_path=plain, rr_name=rock_ridge, joliet_path=joliet)
    disc.write_fp(image)
    disc.close()
    return image.getvalue()


def untouched(bay: Bay, paths: Paths) -> bool:
    """Return whether no drive is mounted, and no mount point is left."""
    return str(bay.root) not in bay.mounts.read_text() and not (paths.run / "drive").exists()


def test_the_very_bytes_are_found_and_the_drive_is_unmounted(bay: Bay, source: DriveSource, paths: Paths) -> None:
    device = bay.insert(make_disc(SEED))
    assert source.detect()
    assert source.get() == FoundEnv(DATA, f"drive cidata ({device}, user-data)", SourceKind.DRIVE)
    assert untouched(bay, paths)


def test_only_filesystems_of_discs_and_sticks_are_mounted_and_nothing_on_them_is_run(
    bay: Bay, source: DriveSource
) -> None:
    bay.insert(make_disc(SEED))
    source.get()
    assert isinstance(source.drives, SystemDrives) and isinstance(source.drives.runner, AnsweringRunner)
    mounted = next(words for words in source.drives.runner.asked if words[0] == "mount")
    assert mounted[1:5] == ["-t", "iso9660,vfat", "-o", "ro,nosuid,nodev,noexec"]


def test_a_drive_somebody_mounted_with_another_filesystem_is_not_read(
    bay: Bay, source: DriveSource, paths: Paths
) -> None:
    device, place = bay.insert(make_disc({"user-data": b"of the disc"})), paths.at("mnt")
    place.mkdir()
    (place / "user-data").write_bytes(DATA)
    bay.mounts.write_text(f"{device} {place} btrfs ro 0 0\n")
    found = source.get()
    assert found is not None and found.data == b"of the disc"


def test_a_label_may_be_in_capitals(bay: Bay, source: DriveSource) -> None:
    bay.insert(make_disc(SEED, label="CIDATA"))
    found = source.get()
    assert found is not None and found.data == DATA


@pytest.mark.parametrize("label", ["cidata2", "Cidata", "config-2", ""])
def test_another_label_is_another_drive(bay: Bay, source: DriveSource, label: str) -> None:
    bay.insert(make_disc(SEED, label=label))
    assert not source.detect()
    assert source.get() is None


@pytest.mark.parametrize("files", [{"meta-data": META}, {}, {"user-data.txt": DATA}, {"user_data": DATA}])
def test_a_drive_without_user_data_is_passed_by(
    bay: Bay, source: DriveSource, paths: Paths, files: dict[str, bytes]
) -> None:
    bay.insert(make_disc(files))
    assert source.detect()
    assert search(paths, bay, source, Elsewhere()).origin == "elsewhere"
    assert untouched(bay, paths)


@pytest.mark.parametrize("data", [b"", b"\n", gzip.compress(b"")], ids=["nothing", "a line", "packed"])
def test_empty_user_data_is_none(bay: Bay, source: DriveSource, paths: Paths, data: bytes) -> None:
    bay.insert(make_disc({**SEED, "user-data": data}))
    assert search(paths, bay, source, Elsewhere()).origin == "elsewhere"
    assert untouched(bay, paths)


def test_gzipped_user_data_is_unpacked(bay: Bay, source: DriveSource) -> None:
    bay.insert(make_disc({**SEED, "user-data": PACKED}))
    found = source.get()
    assert found is not None and found.data == DATA


@pytest.mark.parametrize(
    "packed", [PACKED[:-9], PACKED[:-8], PACKED[:-1] + b"\xff", b"\x1f\x8b" + DATA], ids=["half", "end", "sum", "head"]
)
def test_gzip_that_is_damaged_ends_the_search(bay: Bay, source: DriveSource, paths: Paths, packed: bytes) -> None:
    bay.insert(make_disc({**SEED, "user-data": packed}))
    behind = Elsewhere()
    with pytest.raises(SourceError, match=r"drive cidata .* the gzipped user-data is (damaged|cut off)"):
        search(paths, bay, source, behind)
    assert not behind.asked
    assert untouched(bay, paths)


def test_a_bomb_is_not_unpacked_whole(bay: Bay, source: DriveSource) -> None:
    packer = zlib.compressobj(wbits=31)
    bay.insert(make_disc({"user-data": packer.compress(b"#" * (64 << 20)) + packer.flush()}))
    found = source.get()
    assert found is not None and len(found.data) < 2 << 20


@pytest.mark.parametrize(
    "data",
    [b"#cloud-config\nappliance: [\n", b"#!/bin/sh\nreboot\n", b"\x00\xff" * 99],
    ids=["yaml", "script", "junk"],
)
def test_user_data_that_is_no_environment_ends_the_search_and_changes_nothing(
    bay: Bay, source: DriveSource, paths: Paths, data: bytes
) -> None:
    paths.active_env.parent.mkdir()
    paths.active_env.write_text("active before")
    bay.insert(make_disc({**SEED, "user-data": data}))
    behind = Elsewhere()
    with pytest.raises(InvalidEnvError, match="drive cidata"):
        activate_found(paths, search(paths, bay, source, behind))
    assert not behind.asked
    assert paths.active_env.read_text() == "active before"
    assert untouched(bay, paths)


def test_a_folder_in_the_place_of_the_file_ends_the_search(bay: Bay, source: DriveSource, paths: Paths) -> None:
    disc, image = PyCdlib(), io.BytesIO()
    disc.new(vol_ident="cidata", rock_ridge="1.09")
    disc.add_directory("/USER", rr_name="user-data")
    disc.write_fp(image)
    bay.insert(image.getvalue())
    with pytest.raises(SourceError, match=r"cannot read drive cidata .*: Is a directory"):
        search(paths, bay, source, Elsewhere())
    assert untouched(bay, paths)


@pytest.mark.parametrize(
    "image",
    [
        burn("/A.;1", "user-data"),
        burn("/A.;1", "user-data", version="1.12", level=1),
        burn("/A.;1", joliet="/user-data"),
        burn("/USER-DATA", level=4),
    ],
    ids=["rock ridge", "rock ridge 1.12", "joliet", "capitals and a hyphen"],
)
def test_one_space_of_names_is_enough(bay: Bay, source: DriveSource, image: bytes) -> None:
    bay.insert(image)
    found = source.get()
    assert found is not None and found.data == DATA


@pytest.mark.parametrize("name", ["/USER_DAT.;1", "/USER_DATA.;1"])
def test_a_plain_disc_cannot_say_the_name(bay: Bay, source: DriveSource, name: str) -> None:
    """The name as tools write it without Joliet and Rock Ridge; cloud-init ignores it as well."""
    bay.insert(burn(name))
    assert source.detect()
    assert source.get() is None


@pytest.mark.parametrize("folder", ["mnt", "mnt/a drive", "mnt/Prüfstück"])
def test_a_drive_that_was_mounted_stays_so(bay: Bay, source: DriveSource, paths: Paths, folder: str) -> None:
    device, place = bay.insert(make_disc(SEED)), paths.at(folder)
    place.mkdir(parents=True)
    bay.mount(["mount", str(device), str(place)])
    before = bay.mounts.read_text()
    found = source.get()
    assert found is not None and found.data == DATA
    assert bay.mounts.read_text() == before
    assert sorted(file.name for file in place.iterdir()) == sorted(SEED)


def test_what_a_killed_run_left_mounted_is_unmounted(bay: Bay, source: DriveSource, paths: Paths) -> None:
    device, left = bay.insert(make_disc(SEED)), paths.run / "drive"
    left.mkdir(parents=True)
    bay.mount(["mount", str(device), str(left)])
    found = source.get()
    assert found is not None and found.data == DATA
    assert untouched(bay, paths)


@pytest.mark.parametrize("sectors", [17, 18, 24])
def test_a_disc_that_is_cut_off_ends_the_search_with_its_error(
    bay: Bay, source: DriveSource, paths: Paths, sectors: int
) -> None:
    device = bay.insert(make_disc(SEED)[: sectors * 2048])
    behind = Elsewhere()
    with pytest.raises(SourceError, match=f"the drive {device} cannot be mounted"):
        search(paths, bay, source, behind)
    assert not behind.asked
    assert untouched(bay, paths)


def test_of_two_drives_the_first_counts(bay: Bay, source: DriveSource) -> None:
    bay.insert(make_disc(SEED), "sr0")
    bay.insert(make_disc({"user-data": b"second"}), "sr1")
    found = source.get()
    assert found is not None and found.data == DATA


def test_the_file_of_openstack_is_another_one(bay: Bay, paths: Paths) -> None:
    drives = SystemDrives(paths, AnsweringRunner(bay.answer))
    bay.insert(make_disc(SEED, label="config-2"))
    assert DriveSource("config-2", (OPENSTACK,), drives).get() is None
    assert untouched(bay, paths)
