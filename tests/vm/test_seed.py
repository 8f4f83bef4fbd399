"""Debian 13 boots with env.yml on a drive: the appliance activates it, and cloud-init uses the drive as its seed.

Tests both kinds of drive that operators have: the disc from `env package`, and a FAT drive written by a laptop.
"""

import hashlib
import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.create import render
from ecs_appliance.paper.disc import make_disc
from lab.qemu import Drive
from lab.rootdisk import RootDisk
from lab.virtio_guest import VirtioGuest
from lab.vm import VirtualMachine

pytestmark = pytest.mark.timeout(900)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl operator"
DOMAIN = "ecs.example.org"
META_DATA = b"instance-id: iid-ecs\nlocal-hostname: ecs.example.org\n"
BOOT_SECONDS = 300
FAT_KIB = "2048"
run = SystemRunner().run


@dataclass(frozen=True)
class Seeded:
    """A machine that has booted with the environment `env` on the drive `device`."""

    guest: VirtioGuest
    env: bytes
    device: str


def make_iso(files: dict[str, bytes], folder: Path) -> Drive:
    image = folder / "env-cidata.iso"
    image.write_bytes(make_disc(files))
    return Drive(image, cdrom=True)


def make_fat(files: dict[str, bytes], folder: Path) -> Drive:
    """Return a FAT drive with `files`; its label is upper case, as FAT requires."""
    image = folder / "stick.img"
    run(["mkfs.vfat", "-C", "-n", "CIDATA", image, FAT_KIB], timeout=30)
    for name, data in files.items():
        (folder / name).write_bytes(data)
        run(["mcopy", "-i", image, folder / name, f"::{name}"], timeout=30)
    return Drive(image)


KINDS: dict[str, tuple[Callable[[dict[str, bytes], Path], Drive], str]] = {
    "disc": (make_iso, "/dev/sr0"),
    "stick": (make_fat, "/dev/vdb"),
}


@pytest.fixture(scope="module", params=["disc", pytest.param("stick", marks=pytest.mark.slow)])
def seeded(
    request: pytest.FixtureRequest, root_disk: RootDisk, runner: SystemRunner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seeded]:
    make, device = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    env = render(DOMAIN, {"ssh_authorized_keys": [KEY]}, runner=runner).encode()
    drive = make({"user-data": env, "meta-data": META_DATA, "env.yml.pdf": b"%PDF-1.7\n"}, folder)
    kernel = root_disk.kernel("systemd.wants=prepare-env.service")
    with VirtualMachine(folder, runner, drives=[root_disk.drive, drive], kernel=kernel) as machine:
        machine.guest.wait_ready(BOOT_SECONDS)
        yield Seeded(machine.guest, env, device)


def mounted(seeded: Seeded) -> str:
    return seeded.guest.sh(f"findmnt --noheadings --output TARGET --source {seeded.device} || true")


def test_the_very_bytes_of_the_drive_are_the_active_environment(seeded: Seeded) -> None:
    guest = seeded.guest
    assert guest.sh("systemctl is-active prepare-env") == "active\n"
    sums = guest.sh("sha256sum /run/active-env.yml; stat -c '%U:%G %a' /run/active-env.yml").splitlines()
    assert sums == [f"{hashlib.sha256(seeded.env).hexdigest()}  /run/active-env.yml", "root:root 600"]
    assert guest.sh("cat /run/active-env.origin") == f"drive cidata ({seeded.device}, user-data)\n"


def test_the_drive_is_not_left_mounted(seeded: Seeded) -> None:
    assert mounted(seeded) == ""
    # Activating an environment takes the lock, whose file remains.
    assert seeded.guest.sh("ls --ignore=lock /run/appliance") == ""


def test_cloud_init_took_the_same_drive_for_its_seed(seeded: Seeded) -> None:
    """It warns only about the appliance's keys, which it does not know."""
    status = json.loads(seeded.guest.sh("cloud-init status --format json", ok=(0, 2)))
    assert (status["status"], status["errors"]) == ("done", [])
    assert status["detail"] == f"DataSourceNoCloud [seed={seeded.device}]"
    assert {text.partition("!")[0] for texts in status["recoverable_errors"].values() for text in texts} <= {
        "cloud-config failed schema validation"
    }
    assert seeded.guest.pull("/var/lib/cloud/instance/user-data.txt") == seeded.env


def test_cloud_init_gave_the_machine_its_name_and_let_the_operator_in(seeded: Seeded) -> None:
    guest = seeded.guest
    assert guest.sh("hostname") == f"{DOMAIN.partition('.')[0]}\n"
    for account in ("root", "debian"):
        keys = guest.sh(f"cat ~{account}/.ssh/authorized_keys; stat -c '%U %a' ~{account}/.ssh/authorized_keys")
        assert keys == f"{KEY}\n{account} 600\n"


def test_the_machine_has_booted_clean(seeded: Seeded) -> None:
    assert seeded.guest.sh("systemctl list-units --failed --no-legend") == ""
    assert seeded.guest.state() == "running"


def test_no_secret_lies_where_others_may_read_it(seeded: Seeded) -> None:
    key = next(line for line in seeded.env.decode().splitlines() if re.fullmatch(r" +[A-Za-z0-9+/]{64}", line)).strip()
    guest = seeded.guest
    search = f"grep -rlsF --exclude-dir=ecs.shell {key} /run /var /etc /root /home /tmp"
    holders = guest.sh(f"{search} || true").splitlines()
    assert "/run/active-env.yml" in holders
    private = [file for file in holders if guest.sh(f"stat -c %a {file}").strip()[-1] == "0"]
    assert private == holders
    assert guest.sh(f"journalctl --no-pager | grep -cF {key} || true") == "0\n"


def test_it_talks_to_nobody(seeded: Seeded) -> None:
    """10.0.2.2 would be this host's loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        attempt = f"timeout 3 bash -c ': </dev/tcp/10.0.2.2/{server.getsockname()[1]}' || echo nobody"
        assert seeded.guest.sh(f"ip -4 -brief address | grep -q 10.0.2.; {attempt}") == "nobody\n"
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_drive_that_somebody_has_mounted_stays_so(seeded: Seeded) -> None:
    guest = seeded.guest
    guest.sh(f"rm /run/active-env.yml; mkdir -p '/mnt/a drïve'; mount -o ro {seeded.device} '/mnt/a drïve'")
    guest.sh("systemctl restart prepare-env", timeout=120)
    assert mounted(seeded) == "/mnt/a drïve\n"
    assert guest.pull("/run/active-env.yml") == seeded.env
    guest.sh("umount '/mnt/a drïve'")
