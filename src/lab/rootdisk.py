"""The root disk of virtual machines: Debian 13 with its own kernel, cloud-init and the appliance, built without mounts.

Of an installation it has the release, the command and the units; it has not converged, and no unit is enabled.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.files import point_symlink, write_atomic
from ecs_appliance.core.locks import locked
from ecs_appliance.core.runner import Runner
from lab.base import HOOKS, PACKAGES, Recipe, provide_base, unpack_base
from lab.caches import CACHE
from lab.network import read_resolvers
from lab.provision import trust_authorities
from lab.qemu import Drive, Kernel
from lab.repositories import export_checkout, head_commit

# What the initial ramdisk must find: the root, and drives that cloud-init searches before any unit starts.
MODULES = ("virtio_blk", "virtio_scsi", "sr_mod", "isofs", "vfat")
INITRD_HOOK = (
    f"printf '%s\\n' {' '.join(MODULES)} >\"$1/etc/initramfs-tools/modules\";"
    ' echo MODULES=list >"$1/etc/initramfs-tools/conf.d/modules"; chroot "$1" update-initramfs -u'
)
SYSTEM = Recipe(
    packages=(
        *PACKAGES,
        "apparmor",
        "cloud-init",
        "e2fsprogs",
        "initramfs-tools",
        "linux-image-cloud-amd64",
        "python3-venv",
        "udev",
        "zstd",
    ),
    hooks=(*HOOKS, INITRD_HOOK),
)
# The folder in the cache that machines see as /root/.cache.
PYTHON_PACKAGES = "home"
RELEASES = "app/releases"
UNITS = "salt/states/appliance/files/units"
UNIT_FOLDER = "usr/local/lib/systemd/system"
# The sandbox of the units lets them write only to listed folders, which must exist.
STATUS_PAGE = "var/www/html"
# Lets the launcher build its environment, with this host's network and the shared cache of Python packages, and Python
# compile its modules: on an installed machine, that happens long before the first environment is read.
BUILD = """
unset SSL_CERT_FILE PIP_CERT
mount -t proc proc "$1/proc"
mkdir -p "$1/root/.cache"
mount --bind "$2" "$1/root/.cache"
chroot "$1" /app/appliance/appliance env reference >/dev/null
"""
# Mounts and processes end with the build, however that ends.
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
# The file is sparse: only what is written takes space on this host.
DISK_BYTES = 8 << 30
BUILD_SECONDS = 600.0
KEPT_DISKS = 2


@dataclass(frozen=True)
class RootDisk:
    """A root disk and the kernel that boots it; `commit` is that of the appliance on it."""

    folder: Path
    commit: str

    @property
    def drive(self) -> Drive:
        return Drive(self.folder / "root.img")

    def kernel(self, options: str = "") -> Kernel:
        """Return its kernel, with additional `options`."""
        return Kernel(self.folder / "vmlinuz", self.folder / "initrd.img", f"root=/dev/vda rw {options}".rstrip())


def provide_root_disk(checkout: Path, runner: Runner, cache: Path = Path(CACHE)) -> RootDisk:
    """Return the root disk with the commit that is checked out in `checkout`; it is kept below `cache`, with its base.

    Raise ApplianceError if it cannot be built, RefusedError if `checkout` has no commit.
    """
    folder = cache / "vm"
    base = provide_base(folder, runner, SYSTEM)
    commit = head_commit(checkout, runner)
    target = folder / f"disk-{_key(base, commit)}"
    with locked(folder / "disk.lock", "building the root disk of virtual machines", wait=BUILD_SECONDS):
        if not target.is_dir():
            _build(RootDisk(target, commit), base, checkout, runner)
        _remove_old(folder)
    return RootDisk(target, commit)


def _build(disk: RootDisk, base: Path, checkout: Path, runner: Runner) -> None:
    building = disk.folder.with_name(f".{disk.folder.name}")
    for abandoned in building.parent.glob(".disk-*"):
        shutil.rmtree(abandoned)
    building.mkdir()
    root = building / "root"
    unpack_base(base, root, runner)
    _install(root, checkout, disk.commit, runner)
    _build_environment(root, disk.folder.parents[1] / PYTHON_PACKAGES, runner)
    _pack(root, RootDisk(building, disk.commit), runner)
    shutil.rmtree(root)
    building.rename(disk.folder)


def _install(root: Path, checkout: Path, commit: str, runner: Runner) -> None:
    trust_authorities(root, runner)
    release = root / RELEASES / commit
    export_checkout(checkout, commit, release, runner)
    point_symlink(root / "app/appliance", f"/{RELEASES}/{commit}")
    point_symlink(root / "usr/local/bin/appliance", "/app/appliance/appliance")
    shutil.copytree(release / UNITS, root / UNIT_FOLDER, dirs_exist_ok=True)
    (root / STATUS_PAGE).mkdir(parents=True)


def _build_environment(root: Path, packages: Path, runner: Runner) -> None:
    write_atomic(root / "etc/resolv.conf", read_resolvers(), mode=0o644)
    packages.mkdir(parents=True, exist_ok=True)
    runner.run([*NAMESPACES, "sh", "-euc", BUILD, "sh", root, packages], timeout=BUILD_SECONDS)


def _pack(root: Path, disk: RootDisk, runner: Runner) -> None:
    kernel = disk.kernel()
    shutil.copyfile(root / "vmlinuz", kernel.image)
    shutil.copyfile(root / "initrd.img", kernel.initrd)
    with disk.drive.image.open("wb") as image:
        image.truncate(DISK_BYTES)
    runner.run(["mkfs.ext4", "-q", "-L", "root", "-d", root, disk.drive.image], timeout=BUILD_SECONDS)


def _remove_old(folder: Path) -> None:
    """Remove all but the newest disks; another run may be about to boot one of these."""
    disks = sorted(folder.glob("disk-*/"), key=lambda disk: disk.stat().st_mtime, reverse=True)
    for old in disks[KEPT_DISKS:]:
        shutil.rmtree(old)


def _key(base: Path, commit: str) -> str:
    """Return a key that changes with the base, the appliance's commit, and the code of this module."""
    made = f"{base.name} {base.stat().st_mtime_ns} {commit}".encode()
    return hashlib.sha256(made + Path(__file__).read_bytes()).hexdigest()[:12]
