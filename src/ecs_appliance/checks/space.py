"""Checks that filesystems have free space and inodes."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ecs_appliance.checks.check import Machine
from ecs_appliance.core.paths import Paths
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import INODES, SPACE, Severity

TOPICS = (SPACE, INODES)
PLACES = ("/", "/data", "/volatile")
# Percent used.
WARNING, CRITICAL = 85, 95
GB = 10**9
# This many free bytes are enough, whatever the percentage.
PLENTY = 50 * GB


@dataclass(frozen=True)
class Room:
    """A filesystem: percent of its bytes and of its inodes used, and bytes free."""

    used: float
    files: float
    free: int


def find(machine: Machine) -> Iterable[Finding]:
    """Compare the usage of each filesystem with the limits."""
    for place, room in read_rooms(machine.paths).items():
        space = None if room.free > PLENTY else _severity(room.used)
        if space:
            yield Finding(
                f"{SPACE}{place}",
                space,
                f"{place} is {room.used:.0f} % full, {room.free / GB:.1f} GB are free",
                f"free up space or enlarge it; what uses it: du -xh --max-depth=2 {place} | sort -h | tail",
            )
        if files := _severity(room.files):
            yield Finding(
                f"{INODES}{place}",
                files,
                f"{place} has {100 - room.files:.0f} % of its inodes left",
                f"remove small files; where most are: du -x --inodes --max-depth=2 {place} | sort -n | tail",
            )


def read_rooms(paths: Paths) -> Mapping[str, Room]:
    """Return the usage by place; of several places on one filesystem, only the first is returned."""
    rooms: dict[int, tuple[str, Room]] = {}
    for place in PLACES:
        folder = paths.at(place)
        if folder.is_dir():
            rooms.setdefault(folder.stat().st_dev, (place, _read(os.statvfs(folder))))
    return dict(rooms.values())


def _read(found: os.statvfs_result) -> Room:
    available = found.f_bavail + (found.f_blocks - found.f_bfree)
    used = 100 * (1 - found.f_bavail / available) if available else 0.0
    # btrfs allocates inodes on demand and reports 0.
    files = 100 * (1 - found.f_favail / found.f_files) if found.f_files else 0.0
    return Room(used, files, found.f_bavail * found.f_frsize)


def _severity(used: float) -> Severity | None:
    if used >= CRITICAL:
        return "critical"
    return "warning" if used >= WARNING else None
