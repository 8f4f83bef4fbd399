"""Count, hash and list rows of the application's tables, as the application's role.

Anyone who controls that role can make the results say anything, but not change their types or exceed their maximum
size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.host.cluster import ROLE
from ecs_appliance.host.postgres import Connection, Server, application

SCHEMA = "public"
KIND = """
    select c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relname = %s
"""
TABLE_KINDS = ("r", "p")
NAMED_ROWS = """
    select left(to_jsonb(t)->>'uuid', {width}), left(coalesce(to_jsonb(t)->>'name', ''), {width})
    from {table} t where to_jsonb(t) ? 'uuid' limit {most}
"""
WIDTH, MOST = 200, 1_000_000
CHECKSUM_SECONDS = 60


@dataclass(frozen=True)
class TableChecksum:
    """A table's number of rows, and the SHA-256 over the sorted MD5 sums of the rows, in hex."""

    rows: int
    digest: str


def has_rows(server: Server, database: str, table: str) -> bool:
    """Return whether `table` of `database` exists and has a row. Raise ApplianceError if it cannot be read."""
    if not existing(server, database, [table]):
        return False
    with application(server, database) as connection:
        return connection.execute(sql.SQL("select 1 from {} limit 1").format(_named(table))).fetchone() is not None


def count_rows(server: Server, database: str, tables: Sequence[str]) -> dict[str, int]:
    """Return the number of rows of each of `tables` that exists. Raise ApplianceError if one cannot be read."""
    found = {}
    for table in existing(server, database, tables):
        with application(server, database) as connection:
            row = connection.execute(sql.SQL("select count(*) from {}").format(_named(table))).fetchone()
            found[table] = int(row[0]) if row else 0
    return found


def named_rows(server: Server, database: str, table: str) -> dict[str, str]:
    """Return the column name by uuid of the rows of `table`; empty if the table or its column uuid does not exist.

    Both are cut to 200 characters. Raise ApplianceError if it cannot be read or has over a million rows.
    """
    if not existing(server, database, [table]):
        return {}
    query = sql.SQL(NAMED_ROWS).format(table=_named(table), width=sql.Literal(WIDTH), most=sql.Literal(MOST + 1))
    with application(server, database) as connection:
        rows = connection.execute(query).fetchall()
    if len(rows) > MOST:
        raise ApplianceError(
            f"table {table} has over {MOST} rows, which is too many to list", "inspect it with psql -U app"
        )
    return dict(rows)


def checksum_tables(server: Server, database: str, tables: Sequence[str]) -> dict[str, TableChecksum]:
    """Return the sum of each of `tables` that exists in `database`. Raise ApplianceError if one cannot be read."""
    return {table: checksum_table(server, database, table) for table in existing(server, database, tables)}


def existing(server: Server, database: str, tables: Sequence[str]) -> list[str]:
    """Return those of `tables` that exist. Raise ApplianceError if a name belongs to something other than a table."""
    with application(server, database) as connection:
        kinds = {table: connection.execute(KIND, [table]).fetchone() for table in tables}
    for table, kind in kinds.items():
        if kind and kind[0] not in TABLE_KINDS:
            raise ApplianceError(
                f"{table} in the database {database} is not a table", f"inspect it with psql -U {ROLE} {database}"
            )
    return [table for table, kind in kinds.items() if kind]


def lock_table(connection: Connection, table: str) -> None:
    """Block writes to `table` until the transaction of `connection` ends."""
    connection.execute(sql.SQL("lock table {} in share mode").format(_named(table)))


def checksum_table(server: Server, database: str, table: str) -> TableChecksum:
    """Return the sum of `table`, which does not depend on the order of its rows. Raise ApplianceError."""
    query = """
        select count(*), encode(sha256(coalesce(string_agg(row, '' order by row), '')::bytea), 'hex')
        from (select md5(t::text) collate "C" as row from {} t) rows
    """
    with application(server, database, seconds=CHECKSUM_SECONDS) as connection:
        found = connection.execute(sql.SQL(query).format(_named(table))).fetchone()
    return TableChecksum(*found) if found else TableChecksum(0, "")


def _named(table: str) -> sql.Identifier:
    return sql.Identifier(SCHEMA, table)
