"""Query and manage the database server over its local socket.

The superuser connects only to the database `postgres`, where the application can define nothing. Queries in the
application's own database run as the application's role, so that casts, operators, views, rules or settings that this
role defined there run with no other privileges.
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
# The client's settings override those of the role and of the database: names are resolved only where the role cannot
# define any, and a row has the same text form whatever is configured.
SETTINGS = {
    "search_path": "pg_catalog",
    "role": "none",
    "default_transaction_read_only": "off",
    "standard_conforming_strings": "on",
}
# A restored database could make the superuser's sessions load libraries.
SUPERUSER_SETTINGS = {**SETTINGS, "session_preload_libraries": "", "local_preload_libraries": ""}
PLAIN_ROWS = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # Fail rather than return only some of the rows.
    "row_security": "off",
}
ASK_SECONDS = 60
LOCK_SECONDS = 10
# A session that ignores its statement timeout is terminated this much later.
GRACE_SECONDS = 2
REINDEX_SECONDS = 3600
# Characters shown of an error message from the application's database.
SAID = 300
# The database in which the application can define nothing.
MAINTENANCE = "postgres"
STATUS = f"systemctl status {UNIT}"
TELLS = f"see {LOG}"


@dataclass(frozen=True)
class Server:
    """Where the server listens: `host` is the folder of its socket, `user` its superuser.

    Root may connect as this user and as ROLE.
    """

    host: str = "/var/run/postgresql"
    port: int = 5432
    user: str = "postgres"

    @property
    def socket(self) -> Path:
        return Path(self.host) / f".s.PGSQL.{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """Options that connect PostgreSQL's own programs to it as the application's role."""
        return (f"--host={self.host}", f"--port={self.port}", f"--username={ROLE}", "--no-password")


@dataclass(frozen=True)
class Locale:
    """A database's collation; `stale` if its indexes were sorted by another version of the C library."""

    encoding: str
    collate: str
    ctype: str
    stale: bool


def wait_ready(server: Server, *, deadline: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Return once the server answers.

    Raise DeadlineError after `deadline` seconds, and NotRunningError as soon as `alive` returns False.
    """
    end = time.monotonic() + deadline
    while True:
        # Checked before connecting: a server that exits in between is noticed in the next round.
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
    """Return whether the server answers now."""
    try:
        with connected(server):
            return True
    except NotRunningError:
        return False


def last_words(log: str) -> str:
    """Return the reason why a server exited, from the last FATAL line of its `log`."""
    fatal = [line.partition("FATAL:")[2].strip() for line in log.splitlines() if "FATAL:" in line]
    # These only answer clients that connect while it starts, recovers or shuts down.
    reasons = [reason for reason in fatal if not reason.startswith("the database system is")]
    return printable(reasons[-1]) if reasons else "no reason given"


def database_exists(server: Server, name: str) -> bool:
    """Return whether there is a database `name`. Raise NotRunningError if the server does not answer."""
    with connected(server) as connection:
        return has(connection, "select 1 from pg_database where datname = %s", name)


def is_empty(server: Server, database: str) -> bool:
    """Return whether `database` contains no table in its schema public; False if its role cannot query it."""
    _have_role(server, ROLE)
    tables = "select 1 from pg_class where relkind in ('r', 'p') and relnamespace = to_regnamespace('public')"
    try:
        with application(server, database) as connection:
            return connection.execute(tables).fetchone() is None
    except ApplianceError as error:
        log.warning("%s", error.message)
        return False


def read_locale(server: Server, database: str) -> Locale:
    """Return the collation of `database`. Raise ApplianceError if it does not exist."""
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
    """Rebuild the indexes of `database` if the C library's sort order has changed; return whether that was necessary.

    Raise ApplianceError if it fails; the next call then tries again.
    """
    if not read_locale(server, database).stale:
        return False
    name = sql.Identifier(database)
    # As the application's role, since an index may evaluate expressions that the application defined.
    with application(server, database, seconds=REINDEX_SECONDS) as connection:
        connection.execute(sql.SQL("reindex database {}").format(name))
    with connected(server) as connection:
        connection.execute(sql.SQL("alter database {} refresh collation version").format(name))
    return True


def timeline(server: Server) -> int:
    """Return the server's current timeline."""
    with connected(server) as connection:
        row = connection.execute("select timeline_id from pg_control_checkpoint()").fetchone()
    return int(row[0]) if row else 0


def system_number(server: Server) -> int:
    """Return the system identifier, which distinguishes this cluster from all others."""
    with connected(server) as connection:
        row = connection.execute("select system_identifier from pg_control_system()").fetchone()
    return int(row[0]) if row else 0


def database_size(server: Server) -> int:
    """Return the size of all databases in bytes."""
    with connected(server) as connection:
        row = connection.execute("select sum(pg_database_size(oid))::bigint from pg_database").fetchone()
    return int(row[0]) if row else 0


def create_database(server: Server, name: str, locale: str) -> None:
    """Create the empty database `name`, owned by ROLE, with `locale`. Raise ApplianceError if that fails."""
    _have_role(server, ROLE)
    query = sql.SQL("create database {} owner {} template template0 encoding 'UTF8' locale {}")
    with connected(server) as connection:
        try:
            connection.execute(query.format(sql.Identifier(name), sql.Identifier(ROLE), sql.Literal(locale)))
        except psycopg.Error as error:
            raise ApplianceError(
                f"database {name} could not be created: {error}", "locale -a shows the available locales"
            ) from None


def rename_database(server: Server, name: str, other: str) -> None:
    """Rename the database `name` to `other`, terminating its connections. Raise ApplianceError."""
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
    raise ApplianceError(f"the database {name} is still in use", "stop what is using it, then try again")


def drop_database(server: Server, name: str) -> None:
    """Drop the database `name` if it exists, terminating its connections."""
    with connected(server) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@contextmanager
def connected(server: Server) -> Iterator[Connection]:
    """Open a superuser session in the database `postgres`.

    Raise NotRunningError if the server does not answer or ends the session, DatabaseError if a statement fails.
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
        raise DatabaseError(f"the database {database} reports: {_said(error)}", hint) from None


@contextmanager
def application(server: Server, database: str, *, seconds: float = ASK_SECONDS) -> Iterator[Connection]:
    """Open a session of the application's role in `database`, terminated after `seconds`.

    Code that the role defined there runs, as that role, so do not trust the results. Run one statement per session: an
    earlier one may have changed the meaning of the next. Raise ApplianceError if the connection is refused, a statement
    fails, or the time is up.
    """
    limits = {"statement_timeout": f"{seconds * 1000:.0f}", "lock_timeout": f"{LOCK_SECONDS * 1000}"}
    try:
        connection = _connect(server, ROLE, database, {**SETTINGS, **PLAIN_ROWS, **limits})
    except psycopg.OperationalError as error:
        raise _no_entry(database, error) from None
    # A function can catch the cancellation of its statement, but not the termination of the session.
    end = threading.Timer(seconds + GRACE_SECONDS, _terminate, (server, connection.info.backend_pid))
    end.daemon = True
    end.start()
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        raise DatabaseError(f"the database {database} reports: {_said(error)}", _look_hint(database)) from None
    finally:
        end.cancel()


@contextmanager
def superuser_inside(server: Server, database: str) -> Iterator[Connection]:
    """Open a superuser session in the application's `database`, for host.ownership and backup.disarm only.

    Its statements may only use PostgreSQL's catalogs and names listed there; they must not read, call or sort by
    anything that the database defines.
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
    """Create the role `name` if it is missing: the database may exist before the first start sets its password."""
    with connected(server) as connection:
        if not has(connection, "select 1 from pg_roles where rolname = %s", name):
            connection.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))


def _no_connection(database: str, error: psycopg.OperationalError) -> ApplianceError:
    reason = str(error).strip()
    if "does not exist" in reason and database in reason:
        return ApplianceError(f"there is no database {database}", create_hint(database))
    return NotRunningError(f"PostgreSQL does not answer: {_said(error)}", STATUS)


def _no_entry(database: str, error: psycopg.OperationalError) -> ApplianceError:
    """Explain why the application's role cannot connect; as the owner, it can close the database to connections."""
    reason = _said(error)
    if "does not exist" in reason and f'database "{database}"' in reason:
        return ApplianceError(f"there is no database {database}", create_hint(database))
    return ApplianceError(f"the database {database} does not let {ROLE} connect: {reason}", _look_hint(database))


def _said(error: psycopg.Error) -> str:
    """Return the first line of an error message, shortened and printable: the application may have chosen it."""
    lines = str(error).strip().splitlines()
    return printable(lines[0][:SAID]) if lines else type(error).__name__


def _look_hint(database: str) -> str:
    return f"check what was changed: psql -U {ROLE} {database}; systemctl restart appliance reopens a closed database"


def create_hint(database: str) -> str:
    """Return the hint for operators whose `database` does not exist."""
    return f"sudo -u postgres createdb {database} -T template0 -l de_DE.utf8, or recover from backup"


def has(connection: Connection, query: str, *values: str) -> bool:
    """Return whether `query` has a row."""
    return connection.execute(query.encode(), values).fetchone() is not None
