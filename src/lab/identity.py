"""Identify processes beyond their pid, which the kernel may reuse after they exit."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# Fields of /proc/PID/stat counted after the closing parenthesis of the name: see proc(5).
STATE_FIELD = 0
START_FIELD = 19


@dataclass(frozen=True)
class ProcessIdentity:
    """A process of this boot: `started` is in clock ticks after `boot`, the kernel's random id of the boot."""

    pid: int
    started: int
    boot: str

    def alive(self, proc: Path = PROC) -> bool:
        """Return whether this very process still runs; a zombie does not."""
        return identify(self.pid, proc) == self

    def send(self, number: int) -> None:
        """Send the signal `number` to this very process; do nothing if it has exited."""
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def identify(pid: int, proc: Path = PROC) -> ProcessIdentity | None:
    """Return the identity of the process that has `pid` now, or None if there is none."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[STATE_FIELD] in "ZX":
        return None
    return ProcessIdentity(pid, int(fields[START_FIELD]), boot)


def find_init(parent: int, proc: Path = PROC) -> int | None:
    """Return the child of `parent` that is systemd as process 1 of a PID namespace, or None while there is none.

    For a moment before that, helpers of systemd-nspawn are process 1.
    """
    try:
        children = (proc / str(parent) / "task" / str(parent) / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next((int(child) for child in children if _is_init(proc / child)), None)


def _is_init(folder: Path) -> bool:
    try:
        lines = (folder / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    facts = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    numbers = facts.get("NSpid", [])
    return facts.get("Name") == ["systemd"] and len(numbers) > 1 and numbers[-1] == "1"
