"""Ensures that restored files are only data: nothing set-id, no links out of their folder, no special files."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ecs_appliance.core import folders
from ecs_appliance.core.text import printable

RIGHTS = stat.S_ISUID | stat.S_ISGID
KINDS = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


@dataclass
class RestoredFindings:
    """The folder for what is set aside, and what was found, one line per problem."""

    aside: Path
    lines: list[str] = field(default_factory=list)

    def take(self, name: str, descriptor: int, shown: str, what: str) -> None:
        """Move `name` in the folder `descriptor` to `aside`, where only root has access."""
        self.aside.mkdir(mode=0o700, exist_ok=True)
        place = self.aside / f"{len(list(self.aside.iterdir())):04}"
        os.rename(name, place, src_dir_fd=descriptor)
        self.lines.append(f"{printable(shown)}: {what}, moved aside to {place}")


def disarm(top: Path, names: Sequence[str], aside: Path) -> tuple[str, ...]:
    """Reduce the just restored folders `names` of `top` to files, folders, and links that stay below their folder.

    Anything else is moved to the folder `aside` on the same filesystem; set-id bits are removed. Returns what was
    found, one line per problem. Safe if the owner of a folder changes it meanwhile.
    """
    found = RestoredFindings(aside)
    with folders.opened(top) as descriptor:
        for name in names:
            _disarm_top(name, descriptor, found)
    return tuple(found.lines)


def _disarm_top(name: str, top: int, found: RestoredFindings) -> None:
    try:
        mode = os.stat(name, dir_fd=top, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        found.take(name, top, name, f"not a folder but {_kind(mode)}")
        return
    for base, _, _, descriptor in os.fwalk(name, dir_fd=top, follow_symlinks=False):
        os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) & ~RIGHTS)
        for entry, state in _entries(descriptor):
            _disarm(entry, state, descriptor, f"{base}/{entry}", found)


def _entries(descriptor: int) -> Iterator[tuple[str, os.stat_result]]:
    for name in os.listdir(descriptor):
        try:
            yield name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            continue


def _disarm(name: str, state: os.stat_result, descriptor: int, shown: str, found: RestoredFindings) -> None:
    if stat.S_ISREG(state.st_mode):
        if state.st_mode & RIGHTS:
            _strip(name, descriptor)
            found.lines.append(f"{printable(shown)}: set-user-ID or set-group-ID bit removed")
    elif stat.S_ISLNK(state.st_mode):
        target = os.readlink(name, dir_fd=descriptor)
        if not stays(target):
            found.take(name, descriptor, shown, f"a link to {printable(target)}")
    elif not stat.S_ISDIR(state.st_mode):
        found.take(name, descriptor, shown, _kind(state.st_mode))


def stays(target: str) -> bool:
    """Return whether a link to `target` stays below its own folder, however many such links follow each other."""
    path = PurePath(target)
    return not path.is_absolute() and ".." not in path.parts


def _strip(name: str, descriptor: int) -> None:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
    try:
        os.fchmod(file, stat.S_IMODE(os.fstat(file).st_mode) & ~RIGHTS)
    finally:
        os.close(file)


def _kind(mode: int) -> str:
    return KINDS.get(stat.S_IFMT(mode), "a file" if stat.S_ISREG(mode) else "a device")


def take_root(folder: Path) -> None:
    """Make root own everything in `folder`, and remove set-id bits and write access for group and others."""
    for _, _, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        os.fchown(descriptor, 0, 0)
        os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) & ~0o7022)
        for name in files:
            os.chown(name, 0, 0, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISREG(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                _close_to_others(name, descriptor)


def _close_to_others(name: str, descriptor: int) -> None:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
    try:
        os.fchmod(file, stat.S_IMODE(os.fstat(file).st_mode) & ~0o7022)
    finally:
        os.close(file)
