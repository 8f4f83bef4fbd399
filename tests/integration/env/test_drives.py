"""Environments on real filesystems, found by label and mounted by the kernel; needs root.

FAT and ISO 9660, the only ones used outside tests, need a kernel that mounts them: tests/vm covers these.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.drives import DriveSource, SystemDrives
from ecs_appliance.env.source import FoundEnv, SourceError, SourceKind

DATA = b"#cloud-config\nappliance: {standby: true}\n"
LABEL = "ecs-test-env"
USER_DATA = ("user-data",)
run = SystemRunner().run
Attach = Callable[..., Path]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return a temporary root that shows the system's mounts."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root/proc").symlink_to("/proc")
    return Paths(tmp_path / "root")


@pytest.fixture
def attach(tmp_path: Path) -> Iterator[Attach]:
    """Yield a function that creates a drive with a label and files, and returns its device."""
    devices: list[Path] = []

    def make(label: str = LABEL, files: dict[str, bytes] | None = None, *, size: int = 4 << 20) -> Path:
        folder, image = tmp_path / f"files{len(devices)}", tmp_path / f"image{len(devices)}"
        folder.mkdir()
        for name, data in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        image.touch()
        run(["mkfs.ext4", "-q", "-O", "^has_journal", "-L", label, "-d", folder, image, "4M"], timeout=30)
        with image.open("r+b") as handle:
            handle.truncate(size)
        devices.append(Path(run(["losetup", "--find", "--show", image], timeout=30).stdout.strip()))
        return devices[-1]

    yield make
    for device in devices:
        run(["umount", "--quiet", "--all-targets", device], timeout=30, ok=range(256))
        run(["losetup", "--detach", device], timeout=30)


def mounted(tmp_path: Path) -> list[str]:
    """Return the mounts of this test's own drives, since others may run in parallel and mount theirs."""
    own = run(["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"], timeout=30).lines()
    devices = {line.split()[0] for line in own if str(tmp_path) in line}
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [f"{device} {folder}" for device, folder, *_ in mounts if device in devices or str(tmp_path) in folder]


def source(paths: Paths, label: str = LABEL, files: tuple[str, ...] = USER_DATA) -> DriveSource:
    return DriveSource(label, files, SystemDrives(paths, SystemRunner(), filesystems=("ext4",)))


def test_a_drive_is_read_and_unmounted(paths: Paths, attach: Attach, tmp_path: Path) -> None:
    device = attach(files={"user-data": DATA})
    before = mounted(tmp_path)
    assert source(paths).detect()
    assert source(paths).get() == FoundEnv(DATA, f"drive {LABEL} ({device}, user-data)", SourceKind.DRIVE)
    assert mounted(tmp_path) == before
    assert not (paths.run / "drive").exists()


def test_a_drive_that_is_mounted_stays_so(paths: Paths, attach: Attach, tmp_path: Path) -> None:
    device = attach(files={"user-data": DATA})
    folder = tmp_path / "mounted here"
    folder.mkdir()
    run(["mount", "-o", "ro", device, folder], timeout=30)
    before = mounted(tmp_path)
    found = source(paths).get()
    assert found is not None and found.data == DATA
    assert mounted(tmp_path) == before


def test_what_a_killed_run_left_mounted_is_used_and_unmounted(paths: Paths, attach: Attach, tmp_path: Path) -> None:
    device = attach(files={"user-data": DATA})
    before = mounted(tmp_path)
    left = paths.run / "drive"
    left.mkdir(parents=True)
    run(["mount", "-o", "ro", device, left], timeout=30)
    found = source(paths).get()
    assert found is not None and found.data == DATA
    assert mounted(tmp_path) == before


def test_the_file_of_openstack_lies_deeper(paths: Paths, attach: Attach) -> None:
    attach(files={"openstack/latest/user_data": DATA})
    found = source(paths, files=("openstack/latest/user_data",)).get()
    assert found is not None and found.data == DATA


def test_a_label_may_be_in_capitals(paths: Paths, attach: Attach) -> None:
    attach(LABEL.upper(), {"user-data": DATA})
    found = source(paths).get()
    assert found is not None and found.data == DATA


def test_a_drive_without_the_file_has_no_environment(paths: Paths, attach: Attach, tmp_path: Path) -> None:
    attach(files={"meta-data": b"x"})
    before = mounted(tmp_path)
    assert source(paths).detect()
    assert source(paths).get() is None
    assert mounted(tmp_path) == before


def test_a_drive_of_another_label_is_left_alone(paths: Paths, attach: Attach) -> None:
    attach("something-else", {"user-data": DATA})
    assert not source(paths).detect()
    assert source(paths).get() is None


def test_a_drive_that_can_not_be_mounted_is_broken(paths: Paths, attach: Attach, tmp_path: Path) -> None:
    attach(files={"user-data": DATA}, size=64 << 10)
    before = mounted(tmp_path)
    with pytest.raises(SourceError, match="cannot be mounted"):
        source(paths).get()
    assert mounted(tmp_path) == before
    assert not (paths.run / "drive").exists()


def test_a_drive_of_another_filesystem_is_broken(paths: Paths, attach: Attach, tmp_path: Path) -> None:
    device = attach(files={"user-data": DATA})
    before = mounted(tmp_path)
    with pytest.raises(SourceError, match=f"{device} cannot be mounted as iso9660 or vfat"):
        DriveSource(LABEL, USER_DATA, SystemDrives(paths, SystemRunner())).get()
    assert mounted(tmp_path) == before
