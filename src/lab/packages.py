"""The Debian packages that this host needs for machines and for tests."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.runner import SYSTEM_PATH, Runner

# program → package
FOR_MACHINES: Mapping[str, str] = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "ip": "iproute2",
    "git": "git",
    "gpg": "gnupg",
    "nsenter": "util-linux",
}
FOR_MACHINE_TESTS: Mapping[str, str] = {
    **FOR_MACHINES,
    "certutil": "libnss3-tools",
    "chromedriver": "chromium-driver",
    "chromium": "chromium",
    "curl": "curl",
    "duplicity": "duplicity",
    "gpg1": "gnupg1",
    "nmap": "nmap",
    "rclone": "rclone",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
}
FOR_VIRTUAL_MACHINES: Mapping[str, str] = {
    "mmdebstrap": "mmdebstrap",
    "qemu-system-x86_64": "qemu-system-x86",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "git": "git",
    "gpg": "gnupg",
    "setpriv": "util-linux",
}
FOR_INTEGRATION: Mapping[str, str] = {
    **FOR_MACHINES,
    "bsdtar": "libarchive-tools",
    "duplicity": "duplicity",
    "fish": "fish",
    "gpg1": "gnupg1",
    "man": "man-db",
    "mkfs.ext4": "e2fsprogs",
    "openssl": "openssl",
    "pg_createcluster": "postgresql",
    "promtool": "prometheus",
    "ps": "procps",
    "qrencode": "qrencode",
    "rsync": "rsync",
    "zbarimg": "zbar-tools",
    "zsh": "zsh",
}
DEBIAN_VERSIONS = ("12", "13")
INSTALL_SECONDS = 900.0


def missing_packages(programs: Mapping[str, str]) -> list[str]:
    """Return the packages of those `programs` (program → package) that are not on the system's path."""
    return sorted({package for program, package in programs.items() if not shutil.which(program, path=SYSTEM_PATH)})


def install_packages(packages: Iterable[str], runner: Runner) -> None:
    """Install `packages` with apt. Raise RefusedError if not root, or not on Debian 12 or 13."""
    wanted = list(packages)
    if not wanted:
        return
    by_hand = f"install {' '.join(wanted)}"
    if os.geteuid() != 0:
        raise RefusedError("packages are missing, and only root can install them", f"run it as root, or {by_hand}")
    if debian_version() not in DEBIAN_VERSIONS:
        raise RefusedError("packages are missing, and this is not Debian 12 or 13", by_hand)
    runner.run(["apt-get", "--quiet", "--quiet", "update"], timeout=INSTALL_SECONDS)
    runner.run(["apt-get", "--quiet", "install", "--yes", "--no-install-recommends", *wanted], timeout=INSTALL_SECONDS)


def debian_version(release: Path = Path("/etc/os-release")) -> str:
    """Return the major version of this Debian system, or an empty string on another system."""
    lines = (line.partition("=") for line in release.read_text().splitlines() if "=" in line)
    facts = {key: value.strip('"') for key, _, value in lines}
    return facts.get("VERSION_ID", "") if facts.get("ID") == "debian" else ""
