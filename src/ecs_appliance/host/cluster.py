"""Create the database cluster: Debian creates none if the machine's locale is not generated yet."""

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
# The application's role; host.roles resets its privileges at each start.
ROLE = "app"
CONFIGURATION = f"/etc/postgresql/{VERSION}/{NAME}"
# Exists while the cluster is created: what a killed run left contains no data and is recreated …
UNFINISHED = "/var/lib/ecs-appliance/cluster.unfinished"
# … unless the server has run on it: then it was complete.
STARTED = "postmaster.opts"
# Independent of the machine's locale: each database has its own, and programs parse the messages.
SHAPE = ("--locale=C.UTF-8", "--encoding=UTF8")
CREATE_SECONDS = 600
# For an existing data folder without configuration: Debian's tools create one for an empty folder only. Everything else
# is in conf.d, pg_hba.conf and pg_ident.conf, which states write.
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
    """Give /etc/postgresql and the home of the server's account to root (not if `dry`); return what was wrong, by path.

    Debian gives both to the account, again at each upgrade, but root writes there and the server only reads; the
    account needs only the cluster itself. Links inside the first are removed. Raise OSError if a folder is a link.
    """
    changes = {}
    top = paths.at("/etc/postgresql")
    if top.exists():
        changes.update(reclaim(top, group=grp.getgrnam(ACCOUNT).gr_gid, dry=dry).changes())
    # Resolved, since root itself makes the home a link (lifecycle.storage).
    home = paths.cluster.parents[1].resolve()
    for folder in (home, home / VERSION):
        changes.update(reclaim(folder, group=0, dry=dry, deep=False).changes())
    return changes


def has_cluster(paths: Paths) -> bool:
    """Return whether the cluster exists and is complete."""
    is_configured = (paths.at(CONFIGURATION) / "postgresql.conf").exists()
    return is_configured and not _is_unfinished(paths)


def ensure_cluster(paths: Paths, runner: Runner) -> bool:
    """Create the cluster, or its configuration, if missing; return whether anything was created. Raise CommandError.

    A data folder without configuration, such as on the data volume of another machine, is kept and used.
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
    # Last, because `has_cluster` looks for this file.
    write_atomic(folder / "postgresql.conf", ADOPTED, mode=0o644)


def _is_unfinished(paths: Paths) -> bool:
    return paths.at(UNFINISHED).exists() and not (paths.cluster / STARTED).exists()
