"""What tables hold: rows counted, summed up, named."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from ecs_appliance.host.postgres import Connection, Server, connected, has

# How a row is written as text depends on these.
PLAIN_ROWS = (
    "set timezone = 'UTC'",
    "set datestyle = 'ISO'",
    "set intervalstyle = 'postgres'",
    "set bytea_output = 'hex'",
)


@dataclass(frozen=True)
class Sum:
    """What a table holds: its number of rows, and the SHA-256 over the MD5 of each, in hex."""

    rows: int
    digest: str


def has_rows(server: Server, database: str, table: str) -> bool:
    """Whether `table` of `database` is there and has a row."""
    with connected(server, database) as connection:
        if not has(connection, "select to_regclass(%s) where to_regclass(%s) is not null", table, table):
            return False
        query = sql.SQL("select 1 from {} limit 1").format(sql.Identifier(table))
        return connection.execute(query).fetchone() is not None


def count_rows(server: Server, database: str, tables: Sequence[str]) -> dict[str, int]:
    """How many rows those of `tables` have that `database` has."""
    with connected(server, database) as connection:
        found = {}
        for table in existing(connection, tables):
            row = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone()
            found[table] = int(row[0]) if row else 0
        return found


def named_rows(server: Server, database: str, table: str) -> dict[str, str]:
    """The columns uuid and name of `table`, where it is there and has them; rows without the first are left out."""
    query = "select to_jsonb(t)->>'uuid', coalesce(to_jsonb(t)->>'name', '') from {} t where to_jsonb(t) ? 'uuid'"
    with connected(server, database) as connection:
        if not existing(connection, [table]):
            return {}
        return dict(connection.execute(sql.SQL(query).format(sql.Identifier(table))).fetchall())


def sum_tables(server: Server, database: str, tables: Sequence[str]) -> dict[str, Sum]:
    """What those of `tables` that `database` has hold."""
    with connected(server, database) as connection:
        return {table: sum_table(connection, table) for table in existing(connection, tables)}


def existing(connection: Connection, tables: Sequence[str]) -> list[str]:
    """Those of `tables` that are there."""
    return [table for table in tables if has(connection, "select 1 where to_regclass(%s) is not null", table)]


def sum_table(connection: Connection, table: str) -> Sum:
    """The same for the same rows wherever and in whatever order they lie."""
    for setting in PLAIN_ROWS:
        connection.execute(setting)
    query = """
        select count(*), encode(sha256(coalesce(string_agg(row, '' order by row), '')::bytea), 'hex')
        from (select md5(t::text) collate "C" as row from {} t) rows
    """
    found = connection.execute(sql.SQL(query).format(sql.Identifier(table))).fetchone()
    return Sum(*found) if found else Sum(0, "")
