"""nginx: which of its processes take new connections."""

from pathlib import Path

from ecs_appliance.core.runner import Runner
from ecs_appliance.host import systemd

UNIT = "nginx.service"
PROC = Path("/proc")


def serving_workers(runner: Runner) -> frozenset[int]:
    """Process ids of the workers that take new connections; none where nginx does not run.

    A reload replaces them; one of before that still has something to send says "shutting down" in its title.
    """
    master = PROC / systemd.unit_properties(runner, UNIT, "MainPID").get("MainPID", "0")
    try:
        children = [int(pid) for pid in (master / "task" / master.name / "children").read_text().split()]
    except OSError:
        return frozenset()
    return frozenset(pid for pid in children if is_serving(_title(pid)))


def is_serving(title: str) -> bool:
    """Whether a process of nginx with this `title` takes new connections."""
    return title.startswith("nginx: worker process") and "shutting down" not in title


def _title(pid: int) -> str:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0 ").decode(errors="replace")
    except OSError:
        return ""
