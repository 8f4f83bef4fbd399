"""File locks that keep start, update, backup and restore from running at the same time."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecs_appliance.core.errors import BusyError

POLL_SECONDS = 0.2


@contextmanager
def locked(path: Path, purpose: str, *, wait: float = 0) -> Iterator[None]:
    """Hold the lock file `path` for `purpose`, waiting at most `wait` seconds for it.

    The kernel releases the lock when its process dies, so it is never stale. Raise BusyError naming the holder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, path, purpose, deadline=time.monotonic() + wait)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "purpose": purpose}).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, purpose: str, *, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"not possible now ({purpose}): {_holder(path)}", "wait until it has finished, then try again"
                ) from None
            time.sleep(POLL_SECONDS)


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text())
        return f"process {held['pid']} is running: {held['purpose']}"
    except (ValueError, KeyError, OSError):
        return "another process holds the lock"
