"""What the machine is, as far as decisions depend on it."""

import os
import socket
from dataclasses import dataclass

from ecs_appliance.core.paths import Paths


@dataclass(frozen=True)
class Facts:
    """`memory_mb` is in MiB of RAM; `apparmor` says whether the kernel confines programs by profiles of ours.

    That is nothing a machine `in_container` could have: the kernel and its profiles are the host's.
    """

    memory_mb: int
    cores: int
    hostname: str
    apparmor: bool = False
    in_container: bool = False


def read_facts(paths: Paths) -> Facts:
    """Read the facts of this machine from /proc, /sys and the kernel."""
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
