"""Takes folders back from other accounts, so that root can write to them without following planted links."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

# Not writable for others, no set-uid or set-gid.
ALLOWED_MODE = 0o755
OPENING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass
class Reclaimed:
    """`removed` are links and special files; `given` are files and folders whose owner, group or mode was changed."""

    removed: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)

    def changes(self) -> dict[str, str]:
        """Return a description of each change, by path."""
        gone = dict.fromkeys(self.removed, "removed: neither a file nor a folder")
        return {**dict.fromkeys(self.given, "now owned by root"), **gone}


def reclaim(folder: Path, *, group: int, dry: bool = False, deep: bool = True) -> Reclaimed:
    """Give `folder` and, with `deep`, everything below it to root and `group` (a GID); do nothing if it does not exist.

    The parent of `folder` must belong to root. Links and special files in it are removed. Each folder is taken before
    it is read, so that its owner cannot interfere. With `dry` nothing is changed. Raise OSError if `folder` is a link.
    """
    found = Reclaimed()
    if os.path.lexists(folder):
        descriptor = os.open(folder, OPENING | os.O_DIRECTORY)
        try:
            _take(descriptor, str(folder), group, found, dry=dry, deep=deep)
        finally:
            os.close(descriptor)
    return found


def _take(descriptor: int, path: str, group: int, found: Reclaimed, *, dry: bool, deep: bool = True) -> None:
    """Take the open file or folder `descriptor` and, with `deep`, its contents."""
    seen = os.fstat(descriptor)
    mode = stat.S_IMODE(seen.st_mode) & ALLOWED_MODE
    if (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) != (0, group, mode):
        found.given.append(path)
        if not dry:
            os.fchown(descriptor, 0, group)
            os.fchmod(descriptor, mode)
    if deep and stat.S_ISDIR(seen.st_mode):
        for name in sorted(os.listdir(descriptor)):
            _take_entry(descriptor, name, f"{path}/{name}", group, found, dry=dry)


def _take_entry(parent: int, name: str, path: str, group: int, found: Reclaimed, *, dry: bool) -> None:
    kind = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    if not stat.S_ISDIR(kind) and not stat.S_ISREG(kind):
        found.removed.append(path)
        if not dry:
            os.unlink(name, dir_fd=parent)
        return
    descriptor = os.open(name, OPENING, dir_fd=parent)
    try:
        _take(descriptor, path, group, found, dry=dry)
    finally:
        os.close(descriptor)
