"""Disarms a restored database cluster, so that nothing in it runs with the server's or a superuser's rights."""

import logging
import os
import re
import stat
from pathlib import Path

from psycopg import sql

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import read_untrusted, write_atomic
from ecs_appliance.core.text import printable
from ecs_appliance.host import postgres
from ecs_appliance.host.pgbackrest import RESTORE_COMMAND, WalArchive
from ecs_appliance.host.postgres import Server

log = logging.getLogger(__name__)

ANOTHER = "choose another backup: appliance backup list"
LARGEST = 1 << 20
AUTOMATIC = "postgresql.auto.conf"
# With this file, the server would stay a standby forever.
FOLLOWS = "standby.signal"
# What pgBackRest appends.
OWN = re.compile(
    re.escape(f"restore_command = '{RESTORE_COMMAND}'")
    + r"|recovery_target(_name|_time|_action|_timeline|_inclusive)? = '[\w.:+ -]*'"
)
# Names arrive quoted by the server; roles with an oid below 16384 are PostgreSQL's own.
ROLES = """
    select format('alter role %I nosuperuser nocreaterole noreplication nobypassrls', rolname) from pg_authid
    where oid >= 16384 and (rolsuper or rolcreaterole or rolreplication or rolbypassrls)
    union all
    select format('revoke %s from %s granted by %s cascade', roleid::regrole, member::regrole, grantor::regrole)
    from pg_auth_members where roleid < 16384 and member >= 16384
    union all
    select case when setrole = 0 then format('alter database %I reset all', datname)
                when setdatabase = 0 then format('alter role %s reset all', setrole::regrole)
                else format('alter role %s in database %I reset all', setrole::regrole, datname) end
    from pg_db_role_setting left join pg_database on pg_database.oid = setdatabase
"""
DATABASES = "select datname from pg_database where datallowconn"
# Event triggers, and routines that run with a superuser's rights.
OBJECTS = """
    select format('drop event trigger %I cascade', evtname) from pg_event_trigger
    union all
    select format('alter routine %s security invoker', p.oid::regprocedure) from pg_proc p
    where p.oid >= 16384 and p.prosecdef and p.proowner = 10
      and not exists (select from pg_depend d where d.objid = p.oid and d.classid = 'pg_proc'::regclass
                      and d.deptype = 'e')
"""
# Any role may create aggregates and range types, whose functions have the language internal (12): these are harmless.
FOREIGN = """
    select p.oid::regprocedure::text from pg_proc p join pg_language l on l.oid = p.prolang
    where p.oid >= 16384 and not l.lanpltrusted and l.lanname <> 'sql'
      and not (p.prolang = 12 and p.prosrc in (
        'aggregate_dummy', 'range_constructor2', 'range_constructor3',
        'multirange_constructor0', 'multirange_constructor1', 'multirange_constructor2'))
      and not exists (select from pg_depend d where d.objid = p.oid and d.classid = 'pg_proc'::regclass
                      and d.deptype = 'e')
"""


def check_backup(archive: WalArchive, label: str) -> None:
    """Raise ApplianceError if backup `label` would be restored to anywhere but the cluster's folder."""
    places = archive.other_places(label)
    if places:
        raise ApplianceError(f"backup {label} of the database has files in other places: {', '.join(places)}", ANOTHER)


def disarm_files(cluster: Path) -> None:
    """Keep only the recovery's settings in the cluster's postgresql.auto.conf. The server must be stopped.

    Raises ApplianceError if the cluster contains links.
    """
    for base, names, files, descriptor in os.fwalk(cluster, follow_symlinks=False):
        for name in (*names, *files):
            if stat.S_ISLNK(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                raise ApplianceError(f"the backup of the database contains a link: {base}/{name}", ANOTHER)
    (cluster / FOLLOWS).unlink(missing_ok=True)
    lines = read_untrusted(cluster / AUTOMATIC, LARGEST).decode(errors="replace").splitlines()
    kept = "".join(f"{line}\n" for line in lines if OWN.fullmatch(line))
    for line in lines:
        if line.strip() and not line.startswith("#") and not OWN.fullmatch(line):
            log.warning("no longer in effect, from %s: %s", AUTOMATIC, printable(line))
    owner = cluster.stat()
    write_atomic(cluster / AUTOMATIC, kept, mode=0o600, owner=(owner.st_uid, owner.st_gid))


def disarm_roles(server: Server) -> int:
    """Leave no superuser but the server's own, and nothing that runs automatically or as a superuser.

    Returns the number of changes. Raises ApplianceError if a database has functions in untrusted languages.
    """
    changes = 0
    with postgres.connected(server) as connection:
        names = [str(row[0]) for row in connection.execute(DATABASES).fetchall()]
        changes += _apply(connection, ROLES)
    for name in names:
        with postgres.superuser_inside(server, name) as connection:
            changes += _apply(connection, OBJECTS)
            foreign = [printable(str(row[0])) for row in connection.execute(FOREIGN).fetchall()]
        if foreign:
            raise ApplianceError(
                f"database {name} has functions that run with the server's rights: {', '.join(foreign)}", ANOTHER
            )
    return changes


def _apply(connection: postgres.Connection, query: str) -> int:
    """Execute the statements that `query` returns, and return their number."""
    found = connection.execute(query.encode()).fetchall()
    for (statement,) in found:
        log.warning("removing dangerous rights from the restored database: %s", printable(statement))
        connection.execute(sql.SQL(statement))
    return len(found)
