"""Downloads that outlive machines: each machine gets its own copy, and what it adds is copied back.

Machines do not share the folder itself because apt locks it, and two machines must not wait for each other.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.files import fresh_name
from ecs_appliance.core.paths import Paths
from lab.state import BindMount, MachineFolder

CACHE = "/var/cache/ecs-appliance"
KEEP_SECONDS = 60 * 24 * 3600.0
# apt's own lock and its unfinished downloads.
TRANSIENT = ("lock", "partial")


@dataclass(frozen=True)
class CacheCopy:
    """A folder in this host's cache, a machine's `own` copy of it, and the copy's path in the machine."""

    cache: Path
    own: Path
    target: str


def plan_copies(folder: MachineFolder, paths: Paths) -> tuple[CacheCopy, ...]:
    """Return the caches that a machine gets copies of: its own packages, and those its image builds fetch by proxy."""
    cache = paths.at(CACHE)
    return (
        CacheCopy(cache / "apt", folder.path / "apt", "/var/cache/apt/archives"),
        CacheCopy(cache / "proxy", folder.path / "proxy", "/volatile/proxy-cache"),
    )


def plan_mounts(folder: MachineFolder, paths: Paths) -> tuple[BindMount, ...]:
    """Return the folders of this host that a machine sees. The cache of Python packages is safe to share, so it is."""
    copied = (BindMount(copy.own, copy.target) for copy in plan_copies(folder, paths))
    return (*copied, BindMount(paths.at(CACHE) / "home", "/root/.cache"), BindMount(folder.git, "/srv/git"))


def provide_downloads(folder: MachineFolder, paths: Paths) -> None:
    """Give a new machine what earlier ones downloaded, writable for its own accounts."""
    for copied in plan_copies(folder, paths):
        copied.own.mkdir(parents=True, exist_ok=True)
        copy_missing(copied.cache, copied.own)
        for entry in (copied.own, *copied.own.rglob("*")):
            entry.chmod(0o777 if entry.is_dir() else 0o666)


def save_downloads(folder: MachineFolder, paths: Paths) -> None:
    """Keep the machine's downloads for later ones, and remove those that were added over two months ago."""
    for copied in plan_copies(folder, paths):
        copy_missing(copied.own, copied.cache)
        remove_old(copied.cache, before=time.time() - KEEP_SECONDS)


def copy_missing(source: Path, target: Path) -> int:
    """Copy the files of `source` that `target` lacks or has in another size; return how many."""
    copies = 0
    for file in _files(source):
        other = target / file.relative_to(source)
        if other.exists() and other.stat().st_size == file.stat().st_size:
            continue
        other.parent.mkdir(parents=True, exist_ok=True)
        with fresh_name(other) as temporary:
            shutil.copyfile(file, temporary)
            temporary.replace(other)
        copies += 1
    return copies


def remove_old(folder: Path, *, before: float) -> None:
    """Remove the files in `folder` last modified before `before` (Unix seconds)."""
    for file in list(_files(folder)):
        if file.stat().st_mtime < before:
            file.unlink()


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink() and not set(file.relative_to(folder).parts) & set(TRANSIENT):
            yield file
