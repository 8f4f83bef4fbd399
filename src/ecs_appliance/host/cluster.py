"""The cluster of the database server, made by us: Debian makes none where the machine's locale is not there yet."""

import grp
import shutil

from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.reclaim import reclaim
from ecs_appliance.core.runner import Runner

VERSION, NAME = "17", "main"
ACCOUNT = "postgres"
CONFIGURATION = f"/etc/postgresql/{VERSION}/{NAME}"
# There while the cluster is made: what a killed run left holds nothing yet, and is made anew …
UNFINISHED = "/var/lib/ecs-appliance/cluster.unfinished"
# … unless the server has run on it: then it was whole.
STARTED = "postmaster.opts"
# Whatever the machine speaks: databases choose a locale of their own, and messages are read by programs.
SHAPE = ("--locale=C.UTF-8", "--encoding=UTF8")
CREATE_SECONDS = 600


def reclaim_configuration(paths: Paths, *, dry: bool = False) -> dict[str, str]:
    """Have all of /etc/postgresql belong to root, without links; returns what was wrong, by path.

    The server only reads there, and root writes there: Debian gives it to the server's account, anew at each upgrade.
    Raises OSError where that folder itself is a link.
    """
    top = paths.at("/etc/postgresql")
    if not top.exists():
        return {}
    return reclaim(top, group=grp.getgrnam(ACCOUNT).gr_gid, dry=dry).changes()


def has_cluster(paths: Paths) -> bool:
    """Return whether the cluster is there, made to its end."""
    is_configured = (paths.at(CONFIGURATION) / "postgresql.conf").exists()
    return is_configured and not _is_unfinished(paths)


def ensure_cluster(paths: Paths, runner: Runner) -> bool:
    """Make the cluster where there is none; returns whether it did.

    Files of a cluster without a configuration, as on the data volume of another machine, are kept and used.
    Raises CommandError.
    """
    if has_cluster(paths):
        return False
    if _is_unfinished(paths):
        for folder in (paths.cluster, paths.at(CONFIGURATION)):
            shutil.rmtree(folder, ignore_errors=True)
    unfinished = paths.at(UNFINISHED)
    if not (paths.cluster.is_dir() and any(paths.cluster.iterdir())):
        write_atomic(unfinished, "", mode=0o644)
    runner.run(["pg_createcluster", *SHAPE, VERSION, NAME], timeout=CREATE_SECONDS)
    unfinished.unlink(missing_ok=True)
    return True


def _is_unfinished(paths: Paths) -> bool:
    return paths.at(UNFINISHED).exists() and not (paths.cluster / STARTED).exists()
