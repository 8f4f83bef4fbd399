"""nginx: reload it when files it reads have changed, and find the workers that accept connections."""

from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.content_stamps import contents_digest, is_applied, mark_applied
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import systemd

UNIT = "nginx.service"
PROC = Path("/proc")
TEST_SECONDS = 60


@dataclass(frozen=True)
class Followed:
    """Files that not only Salt replaces; `name` is the stamp it shares with salt/states/nginx, to reload only once."""

    name: str
    files: tuple[str, ...]


CERTIFICATES = Followed("nginx server certificates", ("/etc/nginx/appliance/certificates/*",))
CLIENT_CA = Followed("nginx client ca", ("/etc/nginx/client-ca/*",))


def in_use(paths: Paths, followed: Followed) -> bool:
    """Return whether nginx has loaded the current contents of the files."""
    return is_applied(paths, followed.name, contents_digest(list(followed.files), paths.root))


def take_into_use(paths: Paths, runner: Runner, followed: Followed) -> bool:
    """Reload nginx if the files have changed since it last read them, and return whether it was reloaded.

    A stopped nginx is left alone; it reads the files when it starts. Raise CommandError if nginx rejects the files, in
    which case it keeps using the previous ones.
    """
    digest = contents_digest(list(followed.files), paths.root)
    if is_applied(paths, followed.name, digest) or not systemd.is_active(runner, UNIT):
        return False
    runner.run(["nginx", "-t", "-q"], timeout=TEST_SECONDS)
    systemd.reload(runner, UNIT)
    mark_applied(paths, followed.name, digest)
    return True


def serving_workers(runner: Runner) -> frozenset[int]:
    """Return the process ids of the workers that accept new connections; none if nginx does not run.

    A reload replaces the workers. An old one that still serves a request has "shutting down" in its process title.
    """
    master = PROC / systemd.unit_properties(runner, UNIT, "MainPID").get("MainPID", "0")
    try:
        children = [int(pid) for pid in (master / "task" / master.name / "children").read_text().split()]
    except OSError:
        return frozenset()
    return frozenset(pid for pid in children if is_serving(_title(pid)))


def is_serving(title: str) -> bool:
    """Return whether an nginx process with this `title` accepts new connections."""
    return title.startswith("nginx: worker process") and "shutting down" not in title


def _title(pid: int) -> str:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0 ").decode(errors="replace")
    except OSError:
        return ""
