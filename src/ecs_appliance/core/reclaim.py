"""Folders that root has to be able to write to without being led elsewhere: taken back from who had them."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

# Nobody else writes, and nothing acts as its owner.
ALLOWED_MODE = 0o755
OPENING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass
class Reclaimed:
    """What was found below a folder: `removed` were links and special files, `given` files and folders of others."""

    removed: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)

    def changes(self) -> dict[str, str]:
        """What was wrong, in words, by path."""
        gone = dict.fromkeys(self.removed, "removed: no file and no folder")
        return {**dict.fromkeys(self.given, "is root's now"), **gone}


def reclaim(folder: Path, *, group: int, dry: bool = False, deep: bool = True) -> Reclaimed:
    """Have `folder`, in one of root's, and all below it (`deep`) belong to root and `group`; nothing where none is.

    Links and special files in it go. Whoever owned it cannot lead this elsewhere while it works: each folder is taken
    before it is read. With `dry` nothing is changed. Raises OSError where `folder` itself is a link.
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
    """Take what is open as `descriptor`, a file or a folder, and (`deep`) what is in it."""
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
