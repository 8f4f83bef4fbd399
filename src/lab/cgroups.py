"""A control group for each machine on a host whose systemd provides none.

systemd-nspawn puts the guest into the group in which it was started. Two machines started in the same group would find
each other's processes in it, and kill them.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MOUNTS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
# On hosts with both versions of control groups, systemd-nspawn mirrors the group here.
LEGACY = Path("/sys/fs/cgroup/systemd")
REMOVE_SECONDS = 5.0


@contextmanager
def fresh_group(name: str | None) -> Iterator[None]:
    """Start the child processes of this context in the new, empty group `name`; the caller returns to its own.

    Without a name, or without control groups version 2, they stay in the caller's group.
    """
    root = _unified()
    if root is None or name is None:
        yield
        return
    remove_group(name)
    group = root / name
    group.mkdir()
    _share_controllers(root)
    own = _own_group(root)
    _move(group)
    try:
        yield
    finally:
        _move(own)


def remove_group(name: str) -> None:
    """Remove the group `name` and all below it; wait briefly for its processes to exit."""
    for tree in {(root / name) for root in (*MOUNTS, LEGACY) if (root / name / "cgroup.procs").exists()}:
        deadline = time.monotonic() + REMOVE_SECONDS
        while not _remove_tree(tree) and time.monotonic() < deadline:
            time.sleep(0.05)


def _unified() -> Path | None:
    return next((mount for mount in MOUNTS if (mount / "cgroup.controllers").exists()), None)


def _own_group(root: Path) -> Path:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return root / next(line[len("0::") :] for line in lines if line.startswith("0::")).lstrip("/")


def _move(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _share_controllers(root: Path) -> None:
    for controller in (root / "cgroup.controllers").read_text().split():
        with suppress(OSError):  # impossible in a root that has processes; the machine then has no limits
            (root / "cgroup.subtree_control").write_text(f"+{controller}")


def _remove_tree(tree: Path) -> bool:
    folders = sorted((folder for folder in tree.rglob("*") if folder.is_dir()), reverse=True)
    for folder in (*folders, tree):
        with suppress(OSError):
            folder.rmdir()
    return not tree.exists()
