"""Facts about the machine that decisions depend on."""

import os
import socket
from dataclasses import dataclass

from ecs_appliance.core.paths import Paths


@dataclass(frozen=True)
class Facts:
    """`memory_mb` is RAM in MiB; `apparmor` says whether the kernel confines programs with our own profiles.

    `apparmor` is always False if `in_container`: kernel and profiles belong to the host.
    """

    memory_mb: int
    cores: int
    hostname: str
    apparmor: bool = False
    in_container: bool = False


def read_facts(paths: Paths) -> Facts:
    """Read the facts from /proc, /sys, /run and the kernel. Raise ValueError if /proc/meminfo has no MemTotal."""
    in_container = paths.at("/run/systemd/container").exists()
    return Facts(
        memory_mb=_memory_mb(paths),
        cores=os.cpu_count() or 1,
        hostname=socket.gethostname(),
        apparmor=not in_container and _has_apparmor(paths),
        in_container=in_container,
    )


def _has_apparmor(paths: Paths) -> bool:
    enabled = paths.at("/sys/module/apparmor/parameters/enabled")
    return enabled.is_file() and enabled.read_text().strip() == "Y"


def _memory_mb(paths: Paths) -> int:
    for line in paths.at("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    raise ValueError("MemTotal is missing in /proc/meminfo")
