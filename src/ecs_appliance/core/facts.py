"""What the machine is, as far as decisions depend on it."""

import os
import socket
from dataclasses import dataclass

from ecs_appliance.core.paths import Paths


@dataclass(frozen=True)
class Facts:
    """`memory_mb` is in MiB of RAM."""

    memory_mb: int
    cores: int
    hostname: str


def read_facts(paths: Paths) -> Facts:
    """Read the facts of this machine from /proc and the kernel."""
    return Facts(memory_mb=_memory_mb(paths), cores=os.cpu_count() or 1, hostname=socket.gethostname())


def _memory_mb(paths: Paths) -> int:
    for line in paths.at("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    raise ValueError("MemTotal is missing in /proc/meminfo")
