"""nginx: what it has read last, and which of its processes take new connections."""

from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.applied import contents_digest, is_applied, mark_applied
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import systemd

UNIT = "nginx.service"
PROC = Path("/proc")
TEST_SECONDS = 60


@dataclass(frozen=True)
class Followed:
    """Files that others than Salt replace, too, named as in salt/states/nginx: what one has done nobody does again."""

    name: str
    files: tuple[str, ...]


CERTIFICATES = Followed("nginx server certificates", ("/etc/nginx/appliance/certificates/*",))
CLIENT_CA = Followed("nginx client ca", ("/etc/nginx/client-ca/*",))


def in_use(paths: Paths, followed: Followed) -> bool:
    """Whether nginx has read the files as they are now."""
    return is_applied(paths, followed.name, contents_digest(list(followed.files), paths.root))


def take_into_use(paths: Paths, runner: Runner, followed: Followed) -> bool:
    """Let nginx read the files where they changed since it did last; returns whether it had to.

    Raises CommandError where nginx does not take them: it goes on with those of before. One that does not run reads
    them when it starts.
    """
    digest = contents_digest(list(followed.files), paths.root)
    if is_applied(paths, followed.name, digest) or not systemd.is_active(runner, UNIT):
        return False
    runner.run(["nginx", "-t", "-q"], timeout=TEST_SECONDS)
    systemd.reload(runner, UNIT)
    mark_applied(paths, followed.name, digest)
    return True


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
