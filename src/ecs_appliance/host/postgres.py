"""The database server, asked over its local socket.

The superuser comes to database `postgres` only, where the application can define nothing. What lies in the
application's own database is asked as the application's role: casts, operators, views, rules, settings, whatever that
role has made there, can act as nobody else.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from ecs_appliance.core.errors import ApplianceError, DatabaseError, DeadlineError, NotRunningError
from ecs_appliance.core.text import printable
from ecs_appliance.host.cluster import LOG, ROLE, UNIT

log = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_SECONDS = 10
POLL_SECONDS = 0.2
ATTEMPTS = 10
# A client's settings win over those that the role, or its database, was given; so names are looked up where the role
# cannot define any, and a row is written as the same text whatever was set.
SETTINGS = {
    "search_path": "pg_catalog",
    "role": "none",
    "default_transaction_read_only": "off",
    "standard_conforming_strings": "on",
}
# What a database out of a backup would have the superuser's sessions load.
SUPERUSER_SETTINGS = {**SETTINGS, "session_preload_libraries": "", "local_preload_libraries": ""}
PLAIN_ROWS = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # An error rather than a part of the rows.
    "row_security": "off",
}
ASK_SECONDS = 60
LOCK_SECONDS = 10
# So long after its time a session that does not heed it is ended.
GRACE_SECONDS = 2
REINDEX_SECONDS = 3600
# Of what the application's database says of a failure.
SAID = 300
# The one where the application can define nothing.
MAINTENANCE = "postgres"
STATUS = f"systemctl status {UNIT}"
TELLS = f"{LOG} tells more"


@dataclass(frozen=True)
class Server:
    """Where the server listens: `host` is the folder of its socket. `user` is its superuser.

    Root may come as that, and as ROLE.
    """

    host: str = "/var/run/postgresql"
    port: int = 5432
    user: str = "postgres"

    @property
    def socket(self) -> Path:
        return Path(self.host) / f".s.PGSQL.{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """What leads PostgreSQL's own programs to it, as the application's role."""
        return (f"--host={self.host}", f"--port={self.port}", f"--username={ROLE}", "--no-password")


@dataclass(frozen=True)
class Locale:
    """How a database sorts. `stale`: its indexes were sorted by another version of the C library than today's."""

    encoding: str
    collate: str
    ctype: str
    stale: bool


def wait_ready(server: Server, *, deadline: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Return once the server answers.

    Raises DeadlineError after `deadline` seconds, NotRunningError as soon as it is not `alive` any more.
    """
    end = time.monotonic() + deadline
    while True:
        # Asked first: one that ends between the two is seen in the next round.
        lives = alive()
        try:
            with connected(server):
                return
        except NotRunningError as error:
            if not lives:
                raise
            if time.monotonic() >= end:
                raise DeadlineError(f"{error.message} for {deadline:g} s", error.hint) from None
        time.sleep(POLL_SECONDS)


def answers(server: Server) -> bool:
    """Whether the server answers now."""
    try:
        with connected(server):
            return True
    except NotRunningError:
        return False


def last_words(log: str) -> str:
    """Why a server has ended that wrote `log`, as it says itself."""
    fatal = [line.partition("FATAL:")[2].strip() for line in log.splitlines() if "FATAL:" in line]
    # To those who ask meanwhile, it says only how it is.
    told = [reason for reason in fatal if not reason.startswith("the database system is")]
    return printable(told[-1]) if told else "it does not say why"


def database_exists(server: Server, name: str) -> bool:
    """Whether there is a database `name`. Raises NotRunningError where the server does not answer."""
    with connected(server) as connection:
        return has(connection, "select 1 from pg_database where datname = %s", name)


def is_empty(server: Server, database: str) -> bool:
    """Whether `database` holds no table at all: new, or made anew. One that its role cannot look into is not."""
    _have_role(server, ROLE)
    tables = "select 1 from pg_class where relkind in ('r', 'p') and relnamespace = to_regnamespace('public')"
    try:
        with application(server, database) as connection:
            return connection.execute(tables).fetchone() is None
    except ApplianceError as error:
        log.warning("%s", error.message)
        return False


def read_locale(server: Server, database: str) -> Locale:
    """How `database` sorts. Raises ApplianceError where there is none."""
    query = """
        select pg_encoding_to_char(encoding), datcollate, datctype,
               coalesce(datcollversion <> pg_database_collation_actual_version(oid), false)
        from pg_database where datname = %s
    """
    with connected(server) as connection:
        row = connection.execute(query, [database]).fetchone()
    if row is None:
        raise ApplianceError(f"there is no database {database}", create_hint(database))
    return Locale(*row)


def refresh_collation(server: Server, database: str) -> bool:
    """Sort the indexes of `database` anew where the C library's order has changed since; returns whether it did.

    Raises ApplianceError where that fails; it is tried again at the next call then.
    """
    if not read_locale(server, database).stale:
        return False
    name = sql.Identifier(database)
    # What an index sorts may be the application's own expression.
    with application(server, database, seconds=REINDEX_SECONDS) as connection:
        connection.execute(sql.SQL("reindex database {}").format(name))
    with connected(server) as connection:
        connection.execute(sql.SQL("alter database {} refresh collation version").format(name))
    return True


def timeline(server: Server) -> int:
    """The number of the history that the server writes now."""
    with connected(server) as connection:
        row = connection.execute("select timeline_id from pg_control_checkpoint()").fetchone()
    return int(row[0]) if row else 0


def system_number(server: Server) -> int:
    """What tells this server's files from all others'."""
    with connected(server) as connection:
        row = connection.execute("select system_identifier from pg_control_system()").fetchone()
    return int(row[0]) if row else 0


def database_size(server: Server) -> int:
    """Bytes of all databases."""
    with connected(server) as connection:
        row = connection.execute("select sum(pg_database_size(oid))::bigint from pg_database").fetchone()
    return int(row[0]) if row else 0


def create_database(server: Server, name: str, locale: str) -> None:
    """Make the empty database `name` of ROLE, that sorts by `locale`. Raises ApplianceError without that locale."""
    _have_role(server, ROLE)
    query = sql.SQL("create database {} owner {} template template0 encoding 'UTF8' locale {}")
    with connected(server) as connection:
        try:
            connection.execute(query.format(sql.Identifier(name), sql.Identifier(ROLE), sql.Literal(locale)))
        except psycopg.Error as error:
            raise ApplianceError(f"no database {name}: {error}", "locale -a shows the locales there are") from None


def rename_database(server: Server, name: str, other: str) -> None:
    """Call the database `name` `other`; whoever is connected to it is not any more. Raises ApplianceError."""
    query = sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), sql.Identifier(other))
    with connected(server) as connection:
        for attempt in range(ATTEMPTS):
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
            try:
                connection.execute(query)
            except psycopg.errors.ObjectInUse:
                time.sleep(POLL_SECONDS * attempt)
            else:
                return
    raise ApplianceError(f"the database {name} is in use and stays so", "stop what uses it, then try again")


def drop_database(server: Server, name: str) -> None:
    """Remove the database `name`, where there is one."""
    with connected(server) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@contextmanager
def connected(server: Server) -> Iterator[Connection]:
    """A session of the superuser, in database `postgres`.

    Raises NotRunningError where nobody answers or the server ends the session, DatabaseError where a statement fails.
    """
    with _session(server, MAINTENANCE, SETTINGS if server.user == ROLE else SUPERUSER_SETTINGS) as connection:
        yield connection


@contextmanager
def _session(server: Server, database: str, settings: Mapping[str, str]) -> Iterator[Connection]:
    try:
        connection = _connect(server, server.user, database, settings)
    except psycopg.OperationalError as error:
        raise _no_connection(database, error) from None
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        if connection.broken:
            raise NotRunningError(f"PostgreSQL ended the session: {_said(error)}", STATUS) from None
        hint = TELLS if database == MAINTENANCE else _look_hint(database)
        raise DatabaseError(f"the database {database} says: {_said(error)}", hint) from None


@contextmanager
def application(server: Server, database: str, *, seconds: float = ASK_SECONDS) -> Iterator[Connection]:
    """A session of the application's role in `database`, ended by force after `seconds`.

    What the role has defined there runs, as that role. So what is answered is nothing to rely on: one statement a
    session, for an earlier one may have changed what the next one means. Raises ApplianceError where nobody is let in,
    where a statement fails, and after `seconds`.
    """
    limits = {"statement_timeout": f"{seconds * 1000:.0f}", "lock_timeout": f"{LOCK_SECONDS * 1000}"}
    try:
        connection = _connect(server, ROLE, database, {**SETTINGS, **PLAIN_ROWS, **limits})
    except psycopg.OperationalError as error:
        raise _no_entry(database, error) from None
    # A function can catch that its statement was cancelled; an end of the session it cannot.
    end = threading.Timer(seconds + GRACE_SECONDS, _terminate, (server, connection.info.backend_pid))
    end.daemon = True
    end.start()
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        raise DatabaseError(f"the database {database} says: {_said(error)}", _look_hint(database)) from None
    finally:
        end.cancel()


@contextmanager
def superuser_inside(server: Server, database: str) -> Iterator[Connection]:
    """A session of the superuser in the application's `database`: for host.ownership and backup.disarm alone.

    Its statements name catalogs of PostgreSQL's and what they list, and read, call and sort nothing of the database's.
    """
    limits = {"statement_timeout": f"{ASK_SECONDS * 1000}", "lock_timeout": f"{LOCK_SECONDS * 1000}"}
    with _session(server, database, {**SUPERUSER_SETTINGS, **limits}) as connection:
        yield connection


def _connect(server: Server, user: str, database: str, settings: Mapping[str, str]) -> Connection:
    return psycopg.connect(
        host=server.host,
        port=server.port,
        user=user,
        dbname=database,
        connect_timeout=CONNECT_SECONDS,
        client_encoding="UTF8",
        options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
        autocommit=True,
    )


def _terminate(server: Server, process: int) -> None:
    with suppress(ApplianceError), connected(server) as connection:
        connection.execute("select pg_terminate_backend(%s)", [process])


def _have_role(server: Server, name: str) -> None:
    """A new machine has the database, or makes it, before its first start gives the role a password."""
    with connected(server) as connection:
        if not has(connection, "select 1 from pg_roles where rolname = %s", name):
            connection.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))


def _no_connection(database: str, error: psycopg.OperationalError) -> ApplianceError:
    reason = str(error).strip()
    if "does not exist" in reason and database in reason:
        return ApplianceError(f"there is no database {database}", create_hint(database))
    return NotRunningError(f"PostgreSQL does not answer: {_said(error)}", STATUS)


def _no_entry(database: str, error: psycopg.OperationalError) -> ApplianceError:
    """What is wrong where the application's role is not let in: its owner can shut the database."""
    reason = _said(error)
    if "does not exist" in reason and f'database "{database}"' in reason:
        return ApplianceError(f"there is no database {database}", create_hint(database))
    return ApplianceError(f"the database {database} lets {ROLE} not in: {reason}", _look_hint(database))


def _said(error: psycopg.Error) -> str:
    """What the application's database says of a failure, as it may be shown: it may be anything."""
    lines = str(error).strip().splitlines()
    return printable(lines[0][:SAID]) if lines else type(error).__name__


def _look_hint(database: str) -> str:
    return f"look what was changed there: psql -U {ROLE} {database}; systemctl restart appliance opens a shut database"


def create_hint(database: str) -> str:
    return f"sudo -u postgres createdb {database} -T template0 -l de_DE.utf8, or recover from backup"


def has(connection: Connection, query: str, *values: str) -> bool:
    """Whether `query` has a row."""
    return connection.execute(query.encode(), values).fetchone() is not None
