"""Mount a filesystem only while at least one process uses it."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.runner import ProcessError, Runner

log = logging.getLogger(__name__)

SECONDS = 120
ATTEMPTS = 5
FENCED = ("nosuid", "nodev")


@dataclass(frozen=True)
class Mount:
    """The arguments of `mount -t type -o options source target`; `options` may contain a password."""

    type: str
    source: str
    target: Path
    options: str = field(default="", repr=False)

    def entry(self) -> str:
        """Return the mount as a line of fstab."""
        words = (self.source, str(self.target), self.type or "auto", f"noauto,{self.options}".rstrip(","), "0", "0")
        return " ".join(map(_escaped, words)) + "\n"


@contextmanager
def mounted(runner: Runner, mount: Mount, folder: Path) -> Iterator[None]:
    """Keep `mount` mounted within the block; the last process to leave such a block unmounts it.

    `folder` holds the lock and the state that these processes share. A filesystem that something else mounted stays
    mounted. Raise ApplianceError if it cannot be mounted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ours = folder / "backup-mount"
    descriptor = os.open(folder / "backup-mount.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _enter(runner, mount, ours, descriptor)
        yield
    finally:
        _leave(runner, mount, ours, descriptor)
        os.close(descriptor)


def _enter(runner: Runner, mount: Mount, ours: Path, descriptor: int) -> None:
    """Mount it and hold the shared lock."""
    for _ in range(ATTEMPTS):
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if is_mounted(mount.target):
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not is_mounted(mount.target):
            _mount(runner, mount, ours)
        # Another process may unmount it while the lock is downgraded to shared, so check again.
    raise ApplianceError(f"{mount.target} does not stay mounted", "findmnt and journalctl -k may show why")


def is_mounted(folder: Path, table: Path = Path("/proc/self/mountinfo")) -> bool:
    """Return whether `folder` is a mount point, including bind mounts within one filesystem."""
    wanted = _escaped(os.path.realpath(folder))
    return any(line.split(" ")[4] == wanted for line in table.read_text().splitlines())


def source_of(folder: Path, table: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the source of what is mounted at `folder`, or "" if it is no mount point."""
    wanted = _escaped(os.path.realpath(folder))
    lines = (line.split(" ") for line in table.read_text().splitlines())
    return next((words[words.index("-") + 2] for words in lines if words[4] == wanted), "")


def is_fenced(folder: Path, table: Path = Path("/proc/self/mountinfo")) -> bool:
    """Return whether `folder` is a mount point with the options nosuid and nodev."""
    wanted = _escaped(os.path.realpath(folder))
    # Of several mounts on top of each other, the last one is visible.
    options = [words[5].split(",") for words in map(str.split, table.read_text().splitlines()) if words[4] == wanted]
    return bool(options) and set(FENCED) <= set(options[-1])


def fence(runner: Runner, folder: Path) -> None:
    """Make `folder` a mount point with nosuid and nodev. Raise CommandError."""
    if not is_mounted(folder):
        runner.run(["mount", "--rbind", folder, folder], timeout=SECONDS)
    runner.run(["mount", "--options", f"remount,bind,{','.join(FENCED)}", folder], timeout=SECONDS)


def _mount(runner: Runner, mount: Mount, ours: Path) -> None:
    mount.target.mkdir(parents=True, exist_ok=True)
    # The options may contain a password, so they go into a file and not into the process list.
    write_atomic(ours, mount.entry(), mode=0o600)
    try:
        runner.run(["mount", "--fstab", ours, mount.target], timeout=SECONDS, secrets=(mount.options,))
    except ApplianceError as error:
        ours.unlink(missing_ok=True)
        raise ApplianceError(
            f"{mount.source} could not be mounted: {error.message}", "correct appliance.backup.mount, or the server"
        ) from None


def _leave(runner: Runner, mount: Mount, ours: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if not ours.exists():
        return
    try:
        if is_mounted(mount.target):
            runner.run(["umount", mount.target], timeout=SECONDS)
    except ProcessError as error:
        # Still in use, for example by a shell; the next backup tries again.
        log.warning("%s could not be unmounted: %s", mount.target, error.message)
        return
    ours.unlink(missing_ok=True)


def _escaped(word: str) -> str:
    return word.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
