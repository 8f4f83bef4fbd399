"""Folders that root creates, chowns and empties without following symlinks that another account planted."""

import grp
import os
import pwd
import shutil
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, LatchedError

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# The kernel's own limit for a path; it also ends loops.
MOST_LINKS = 40
OTHERS = stat.S_IWGRP | stat.S_IWOTH


class UntrustedError(LatchedError):
    """A symlink or folder controlled by another account is on a path that root would follow."""


def real_path(path: Path) -> Path:
    """Return `path` with symlinks resolved. Raise UntrustedError for one that another account made or may replace."""
    todo, done, links = deque(path.absolute().parts[1:]), Path("/"), 0
    while todo:
        step = done / todo.popleft()
        if step.name == ".." or not step.is_symlink():
            done = done.parent if step.name == ".." else step
            continue
        links += 1
        if links > MOST_LINKS or not is_ours(done) or _is_theirs(step, done):
            raise UntrustedError(
                f"{step} is a link in a folder that another account can write to",
                f"find out who put it there (ls -l {step}) and remove it; then: rm -f /run/appliance-failed",
            )
        target = step.readlink()
        todo.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))
        done = Path("/") if target.is_absolute() else done
    return done


def is_ours(path: Path) -> bool:
    """Return whether only root and our own account can write to `path`; sticky folders pass. Follows no links."""
    found = path.lstat()
    free = found.st_mode & OTHERS and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX)
    return found.st_uid in (0, os.geteuid()) and not free


def _is_theirs(link: Path, folder: Path) -> bool:
    """Return whether another account made `link`, as it may in a sticky `folder` such as /tmp."""
    return bool(folder.lstat().st_mode & OTHERS) and link.lstat().st_uid not in (0, os.geteuid())


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open the folder `path`, which must not be a symlink, and yield its descriptor; resolve parents by `real_path`.

    Raise UntrustedError or FileNotFoundError.
    """
    place = real_path(path.parent) / path.name
    try:
        descriptor = os.open(place, FOLDER)
    except NotADirectoryError:
        raise UntrustedError(
            f"{path} is not a folder", f"find out who put it there (ls -l {path}) and remove it"
        ) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def own(path: Path, owner: str, mode: int, group: str = "") -> None:
    """Set owner, group (by default named like the owner) and mode of the folder `path`. Raise as `opened` does."""
    with opened(path) as descriptor:
        os.fchown(descriptor, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group or owner).gr_gid)
        os.fchmod(descriptor, mode)


def make(path: Path, owner: str = "root", mode: int = 0o755, group: str = "") -> None:
    """Create the folder `path` if it is missing, and set its owner and mode; missing parents will belong to root."""
    (real_path(path.parent) / path.name).mkdir(mode=0o755, parents=True, exist_ok=True)
    own(path, owner, mode, group)


def empty(path: Path) -> None:
    """Remove the contents of the folder `path`."""
    with opened(path) as descriptor:
        for name in os.listdir(descriptor):  # noqa: PTH208 # a descriptor has no path
            if stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=descriptor)
            else:
                os.unlink(name, dir_fd=descriptor)


def require_ours(path: Path, what: str) -> None:
    """Raise ApplianceError if `path` or a parent of it is not `is_ours`; the message calls it `what`."""
    place = real_path(path)
    for each in (place, *place.parents):
        if each.is_symlink() or not is_ours(each):
            raise ApplianceError(
                f"{what} {path} is not run: accounts other than root can change {each}",
                f"check what it does; then: chown root: {each}; chmod go-w {each}",
            )
