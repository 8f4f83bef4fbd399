"""The cluster of the database server, made by us: Debian makes none where the machine's locale is not there yet."""

import grp
import shutil
from pathlib import Path

from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.paths import CLUSTER, Paths
from ecs_appliance.core.reclaim import reclaim
from ecs_appliance.core.runner import Runner

VERSION, NAME = CLUSTER
UNIT = f"postgresql@{VERSION}-{NAME}.service"
LOG = f"/var/log/postgresql/postgresql-{VERSION}-{NAME}.log"
BINARIES = Path(f"/usr/lib/postgresql/{VERSION}/bin")
ACCOUNT = "postgres"
# The role of the application; host.roles puts right at each start what it may.
ROLE = "app"
CONFIGURATION = f"/etc/postgresql/{VERSION}/{NAME}"
# There while the cluster is made: what a killed run left holds nothing yet, and is made anew …
UNFINISHED = "/var/lib/ecs-appliance/cluster.unfinished"
# … unless the server has run on it: then it was whole.
STARTED = "postmaster.opts"
# Whatever the machine speaks: databases choose a locale of their own, and messages are read by programs.
SHAPE = ("--locale=C.UTF-8", "--encoding=UTF8")
CREATE_SECONDS = 600
# For files of a cluster that have no configuration: Debian's tools make one for an empty folder only. All else is in
# conf.d, pg_hba.conf and pg_ident.conf, which states write.
ADOPTED = f"""\
# Written by the appliance, for the cluster that was there without it.
data_directory = '/var/lib/postgresql/{VERSION}/{NAME}'
hba_file = '{CONFIGURATION}/pg_hba.conf'
ident_file = '{CONFIGURATION}/pg_ident.conf'
external_pid_file = '/var/run/postgresql/{VERSION}-{NAME}.pid'
unix_socket_directories = '/var/run/postgresql'
cluster_name = '{VERSION}/{NAME}'
include_dir = 'conf.d'
"""


def reclaim_folders(paths: Paths, *, dry: bool = False) -> dict[str, str]:
    """Have all of /etc/postgresql, and the home of the server's account, belong to root; returns what was wrong.

    Links in the first go. The server only reads there, and root writes there; Debian gives both to the account, anew at
    each upgrade. Its own is the cluster alone. Raises OSError where one of the folders is a link.
    """
    changes = {}
    top = paths.at("/etc/postgresql")
    if top.exists():
        changes.update(reclaim(top, group=grp.getgrnam(ACCOUNT).gr_gid, dry=dry).changes())
    # That the home is a link is root's own doing (lifecycle.storage).
    home = paths.cluster.parents[1].resolve()
    for folder in (home, home / VERSION):
        changes.update(reclaim(folder, group=0, dry=dry, deep=False).changes())
    return changes


def has_cluster(paths: Paths) -> bool:
    """Return whether the cluster is there, made to its end."""
    is_configured = (paths.at(CONFIGURATION) / "postgresql.conf").exists()
    return is_configured and not _is_unfinished(paths)


def ensure_cluster(paths: Paths, runner: Runner) -> bool:
    """Make the cluster, or its configuration, where there is none; returns whether it did. Raises CommandError.

    Files without a configuration, as on the data volume of another machine, are kept and used.
    """
    if has_cluster(paths):
        return False
    if _is_unfinished(paths):
        for folder in (paths.cluster, paths.at(CONFIGURATION)):
            shutil.rmtree(folder, ignore_errors=True)
    if (paths.cluster / "PG_VERSION").exists():
        _adopt(paths)
        return True
    unfinished = paths.at(UNFINISHED)
    write_atomic(unfinished, "", mode=0o644)
    runner.run(["pg_createcluster", *SHAPE, VERSION, NAME], timeout=CREATE_SECONDS)
    unfinished.unlink(missing_ok=True)
    return True


def _adopt(paths: Paths) -> None:
    folder = paths.at(CONFIGURATION)
    write_atomic(folder / "start.conf", "auto\n", mode=0o644)
    (folder / "conf.d").mkdir(mode=0o755, exist_ok=True)
    # Last: with it, the configuration is there.
    write_atomic(folder / "postgresql.conf", ADOPTED, mode=0o644)


def _is_unfinished(paths: Paths) -> bool:
    return paths.at(UNFINISHED).exists() and not (paths.cluster / STARTED).exists()
