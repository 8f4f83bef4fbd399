"""The database's WAL: create restore points, switch segments, wait for archiving."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from ecs_appliance.core.errors import ApplianceError, DeadlineError
from ecs_appliance.host.cluster import UNIT
from ecs_appliance.host.postgres import LOCK_SECONDS, POLL_SECONDS, Connection, Server, application, connected
from ecs_appliance.host.tables import CHECKSUM_SECONDS, TableChecksum, checksum_table, existing, lock_table

SUM_ATTEMPTS = 3


@dataclass(frozen=True)
class RestorePoint:
    """A restore point in the complete WAL `segment`, with the `sums` of tables at that point.

    `sums` is empty if the tables were busy or if there was a failure, which `trouble` describes.
    """

    segment: str
    sums: Mapping[str, TableChecksum] = field(default_factory=dict)
    trouble: str = ""


def make_restore_point(server: Server, name: str, database: str, tables: Sequence[str]) -> RestorePoint:
    """Create the restore point `name`, and compute the sums of those of `tables` that exist in `database`.

    Writes to the tables are blocked meanwhile. If a table cannot be locked within two seconds, in three attempts, there
    are no sums. Nothing that the application's role did to the tables prevents the restore point.
    """
    segment = ""
    try:
        there = existing(server, database, tables)
        for _ in range(SUM_ATTEMPTS):
            with application(server, database, seconds=LOCK_SECONDS + CHECKSUM_SECONDS * len(there)) as holder:
                if not _hold(holder, there):
                    continue
                segment = _point(server, name)
                sums = {table: checksum_table(server, database, table) for table in there}
                # Fails if the session was terminated, so that the tables were not locked until now.
                holder.execute("commit")
                return RestorePoint(segment, sums)
    except ApplianceError as error:
        return RestorePoint(segment or _point(server, name), trouble=error.message)
    return RestorePoint(_point(server, name))


def _hold(connection: Connection, tables: Sequence[str]) -> bool:
    """Begin a transaction that blocks writes to `tables`; return False if they are busy."""
    connection.execute("begin")
    connection.execute("set local lock_timeout = '2s'")
    try:
        for table in tables:
            lock_table(connection, table)
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def end_segment(server: Server) -> str:
    """Complete the current WAL segment, after a commit in it, and return its name.

    The commit is needed because a recovery to a point in time ends at the first commit after it.
    """
    with connected(server) as connection:
        connection.execute("set synchronous_commit = on")
        connection.execute("select pg_current_xact_id()")
        row = connection.execute("select pg_walfile_name(pg_current_wal_insert_lsn())").fetchone()
        connection.execute("select pg_switch_wal()")
    return str(row[0]) if row else ""


def wait_archived(server: Server, segment: str, *, deadline: float) -> None:
    """Return once the WAL is archived up to `segment`. Raise DeadlineError after `deadline` seconds."""
    end = time.monotonic() + deadline
    # Segment names of one timeline sort by age. A history file may come between two segments; its name is longer.
    query = "select coalesce(left(last_archived_wal, 24), '') >= %s from pg_stat_archiver"
    with connected(server) as connection:
        while connection.execute(query, [segment]).fetchone() != (True,):
            if time.monotonic() >= end:
                raise DeadlineError(
                    f"the database's WAL was not archived within {deadline:g} s",
                    f"journalctl -u {UNIT} and the files in /var/log/pgbackrest show why",
                )
            time.sleep(POLL_SECONDS)


def _point(server: Server, name: str) -> str:
    """Create the restore point `name`, complete the WAL segment that contains it, and return the segment's name."""
    with connected(server) as connection:
        # Ensures a commit: a recovery to a time before the restore point ends at the first commit after that time.
        connection.execute("set synchronous_commit = on")
        connection.execute("select pg_current_xact_id()")
        connection.execute("select pg_create_restore_point(%s)", [name])
        row = connection.execute("select pg_walfile_name(pg_current_wal_insert_lsn())").fetchone()
        connection.execute("select pg_switch_wal()")
    return str(row[0]) if row else ""
