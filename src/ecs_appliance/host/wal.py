"""The database's log: moments in it that a recovery can go back to, and whether it is archived."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from ecs_appliance.core.errors import ApplianceError, DeadlineError
from ecs_appliance.host.cluster import UNIT
from ecs_appliance.host.postgres import LOCK_SECONDS, POLL_SECONDS, Connection, Server, application, connected
from ecs_appliance.host.tables import SUM_SECONDS, Sum, existing, lock_table, sum_table

SUM_ATTEMPTS = 3


@dataclass(frozen=True)
class RestorePoint:
    """`segment` of the log holds it, full now; `sums` are of tables at this very moment, empty where they were busy.

    `trouble` is why else there are none.
    """

    segment: str
    sums: Mapping[str, Sum] = field(default_factory=dict)
    trouble: str = ""


def make_restore_point(server: Server, name: str, database: str, tables: Sequence[str]) -> RestorePoint:
    """Make the restore point `name`, and sum up what those of `tables` that `database` has hold at it.

    Nobody writes to them meanwhile: that is waited for two seconds, three times, else they are not summed up. Nothing
    that the application's role has made of them keeps the point from being made.
    """
    segment = ""
    try:
        there = existing(server, database, tables)
        for _ in range(SUM_ATTEMPTS):
            with application(server, database, seconds=LOCK_SECONDS + SUM_SECONDS * len(there)) as holder:
                if not _hold(holder, there):
                    continue
                segment = _point(server, name)
                sums = {table: sum_table(server, database, table) for table in there}
                # Which fails where the tables were not held to the end.
                holder.execute("commit")
                return RestorePoint(segment, sums)
    except ApplianceError as error:
        return RestorePoint(segment or _point(server, name), trouble=error.message)
    return RestorePoint(_point(server, name))


def _hold(connection: Connection, tables: Sequence[str]) -> bool:
    """Let nobody write to `tables` until the transaction that this begins ends; False where they are busy."""
    connection.execute("begin")
    connection.execute("set local lock_timeout = '2s'")
    try:
        for table in tables:
            lock_table(connection, table)
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def end_segment(server: Server) -> str:
    """Have the segment of the log that is written now full, after a commit in it; returns its name.

    A recovery to a time ends at the first commit after it: so there is one.
    """
    with connected(server) as connection:
        connection.execute("set synchronous_commit = on")
        connection.execute("select pg_current_xact_id()")
        row = connection.execute("select pg_walfile_name(pg_current_wal_insert_lsn())").fetchone()
        connection.execute("select pg_switch_wal()")
    return str(row[0]) if row else ""


def wait_archived(server: Server, segment: str, *, deadline: float) -> None:
    """Return once the log is archived up to `segment`; raises DeadlineError after `deadline` seconds."""
    end = time.monotonic() + deadline
    # Names of one timeline sort by age. That of a history file, which is longer, comes between two of them.
    query = "select coalesce(left(last_archived_wal, 24), '') >= %s from pg_stat_archiver"
    with connected(server) as connection:
        while connection.execute(query, [segment]).fetchone() != (True,):
            if time.monotonic() >= end:
                raise DeadlineError(
                    f"the database's log was not archived within {deadline:g} s",
                    f"journalctl -u {UNIT}, and the files in /var/log/pgbackrest, tell why",
                )
            time.sleep(POLL_SECONDS)


def _point(server: Server, name: str) -> str:
    """Make the restore point `name`; returns the segment of the log that holds it, which is full then."""
    with connected(server) as connection:
        # A recovery to a time before the point ends at the first commit after that time: so there is one.
        connection.execute("set synchronous_commit = on")
        connection.execute("select pg_current_xact_id()")
        connection.execute("select pg_create_restore_point(%s)", [name])
        row = connection.execute("select pg_walfile_name(pg_current_wal_insert_lsn())").fetchone()
        connection.execute("select pg_switch_wal()")
    return str(row[0]) if row else ""
