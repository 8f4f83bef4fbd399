"""The database server, asked over its local socket as its superuser."""

import base64
import hashlib
import hmac
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql

from ecs_appliance.core.errors import ApplianceError, DeadlineError, NotRunningError
from ecs_appliance.core.files import sync_folder
from ecs_appliance.core.runner import Runner
from ecs_appliance.core.text import printable

PasswordMethod = Literal["scram-sha-256", "md5"]
Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_SECONDS = 10
POLL_SECONDS = 0.2
ATTEMPTS = 10
# What would run in a superuser's session by the wish of whoever made the database; theirs is the last word otherwise.
SUPERUSER_OPTIONS = "-c event_triggers=off -c session_preload_libraries= -c local_preload_libraries="
# What would otherwise keep a verifier: the server's log, and its statistics of statements.
DISCREET = (
    "set log_statement = 'none'",
    "set log_min_duration_statement = -1",
    "set log_min_error_statement = 'panic'",
    "set pg_stat_statements.track_utility = off",
)
RELATIONS = """
    select c.relkind, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and pg_get_userbyid(c.relowner) <> %s
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
                      and (d.deptype = 'e' or (c.relkind = 'S' and d.deptype in ('a', 'i'))))
    order by c.relkind, 2
"""
KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence"}


@dataclass(frozen=True)
class Server:
    """Where the server listens: `host` is the folder of its socket. `user` is its superuser, as which root may come."""

    host: str = "/var/run/postgresql"
    port: int = 5432
    user: str = "postgres"

    @property
    def socket(self) -> Path:
        return Path(self.host) / f".s.PGSQL.{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """What leads PostgreSQL's own programs to it."""
        return (f"--host={self.host}", f"--port={self.port}", f"--username={self.user}", "--no-password")


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
    """Whether `database` holds no table at all: new, or made anew."""
    with connected(server, database) as connection:
        tables = "select 1 from pg_class where relkind in ('r', 'p') and relnamespace = to_regnamespace('public')"
        return connection.execute(tables).fetchone() is None


def ensure_role(server: Server, name: str, password: str, method: PasswordMethod) -> bool:
    """Make `name` a role that logs in with `password`, stored as `method`; returns whether anything changed.

    The server gets a verifier only, never the password.
    """
    with connected(server) as connection:
        stored = connection.execute("select rolpassword, rolcanlogin from pg_authid where rolname = %s", [name])
        row = stored.fetchone()
        if row is not None and row[1] and _verifies(row[0] or "", name, password, method):
            return False
        for setting in DISCREET:
            connection.execute(setting)
        verifier = _verifier(connection, name, password, method)
        verb = sql.SQL("create role" if row is None else "alter role")
        connection.execute(sql.SQL("{} {} with login password {}").format(verb, sql.Identifier(name), verifier))
        return True


def stored_method(server: Server, name: str) -> PasswordMethod | None:
    """How the password of role `name` is stored now; None without role or password."""
    with connected(server) as connection:
        row = connection.execute("select rolpassword from pg_authid where rolname = %s", [name]).fetchone()
    if row is None or row[0] is None:
        return None
    return "md5" if row[0].startswith("md5") else "scram-sha-256"


def ensure_owner(server: Server, database: str, role: str) -> bool:
    """Give `database`, its schema public and all that lies in it to `role`; returns whether anything changed.

    What belongs to an extension stays as it is.
    """
    owner = sql.Identifier(role)
    with connected(server, database) as connection, connection.transaction():
        changes = []
        if not has(connection, "select 1 from pg_database where datname = %s and datdba = %s::regrole", database, role):
            changes.append(sql.SQL("alter database {} owner to {}").format(sql.Identifier(database), owner))
        if not has(connection, "select 1 from pg_namespace where nspname = 'public' and nspowner = %s::regrole", role):
            changes.append(sql.SQL("alter schema public owner to {}").format(owner))
        for kind, relation in connection.execute(RELATIONS, [role]).fetchall():
            # The name comes quoted from the server.
            changes.append(sql.SQL("alter {} {} owner to {}").format(sql.SQL(KINDS[kind]), sql.SQL(relation), owner))
        for change in changes:
            connection.execute(change)
        return bool(changes)


def ensure_extension(server: Server, database: str, name: str) -> bool:
    """Make extension `name` in `database`; returns whether it was missing."""
    with connected(server, database) as connection:
        if has(connection, "select 1 from pg_extension where extname = %s", name):
            return False
        connection.execute(sql.SQL("create extension if not exists {}").format(sql.Identifier(name)))
        return True


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
        raise ApplianceError(f"there is no database {database}", _create_hint(database))
    return Locale(*row)


def refresh_collation(server: Server, database: str) -> bool:
    """Sort the indexes of `database` anew where the C library's order has changed since; returns whether it did."""
    if not read_locale(server, database).stale:
        return False
    name = sql.Identifier(database)
    with connected(server, database) as connection:
        connection.execute(sql.SQL("reindex database {}").format(name))
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
    """Make the empty database `name` that sorts by `locale`. Raises ApplianceError where there is no such locale."""
    query = sql.SQL("create database {} template template0 encoding 'UTF8' locale {}")
    with connected(server) as connection:
        try:
            connection.execute(query.format(sql.Identifier(name), sql.Literal(locale)))
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


def load(runner: Runner, server: Server, packed: Path, database: str, *, timeout: float) -> None:
    """Fill the empty `database` from `packed`, a dump in custom format, gzipped: with all of it, or with nothing.

    What it makes belongs to the superuser. Raises CommandError, DeadlineError (after `timeout` s).
    """
    shape = ("--format=custom", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error")
    restoring = ("pg_restore", *server.options, *shape, f"--dbname={database}")
    pipe = 'gunzip --stdout "$1" | "${@:2}"'
    runner.run(["bash", "-o", "pipefail", "-c", pipe, "bash", packed, *restoring], timeout=timeout)


def dump(
    runner: Runner,
    server: Server,
    database: str,
    target: Path,
    *,
    owner: tuple[int, int] | None = None,
    timeout: float = 3 * 3600,
) -> None:
    """Dump `database` into `target`, custom format, uncompressed, 0600, of `owner` (uid, gid); at most `timeout` s.

    It is built beside the folder of `target`, which may be anybody's, as `.FOLDER.new`. A dump that fails leaves an
    older `target` as it is. Raises CommandError, DeadlineError.
    """
    folder = target.parent
    folder.mkdir(parents=True, exist_ok=True)
    with _building_site(folder.with_name(f".{folder.name}.new")) as (unfinished, descriptor):
        shape = ("--format=custom", "--compress=0", "--encoding=UTF8", f"--file={unfinished}")
        runner.run(["pg_dump", *server.options, *shape, f"--dbname={database}"], timeout=timeout)
        if owner is not None:
            os.fchown(descriptor, *owner)
        os.fsync(descriptor)
        unfinished.replace(target)
    sync_folder(folder)


@contextmanager
def _building_site(path: Path) -> Iterator[tuple[Path, int]]:
    """A new file `path`, 0600, open; gone afterwards where it still lies there, and so is one of a killed run."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        yield path, descriptor
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


@contextmanager
def connected(server: Server, database: str = "postgres") -> Iterator[Connection]:
    """A connection of the superuser. Raises NotRunningError where nobody answers, ApplianceError without `database`."""
    try:
        connection = psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            dbname=database,
            connect_timeout=CONNECT_SECONDS,
            options=SUPERUSER_OPTIONS if server.user == "postgres" else None,
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        raise _no_connection(database, error) from None
    with connection:
        yield connection


def _no_connection(database: str, error: psycopg.OperationalError) -> ApplianceError:
    reason = str(error).strip()
    if "does not exist" in reason and database in reason:
        return ApplianceError(f"there is no database {database}", _create_hint(database))
    return NotRunningError(f"PostgreSQL does not answer: {reason}", "systemctl status postgresql")


def _create_hint(database: str) -> str:
    return f"sudo -u postgres createdb {database} -T template0 -l de_DE.utf8, or recover from backup"


def has(connection: Connection, query: str, *values: str) -> bool:
    """Whether `query` has a row."""
    return connection.execute(query.encode(), values).fetchone() is not None


def _verifier(connection: Connection, role: str, password: str, method: PasswordMethod) -> str:
    return connection.pgconn.encrypt_password(password.encode(), role.encode(), method.encode()).decode()


def _verifies(stored: str, role: str, password: str, method: PasswordMethod) -> bool:
    if method == "md5":
        digest = hashlib.md5(f"{password}{role}".encode(), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(stored, f"md5{digest}")
    return _verifies_scram(stored, password)


def _verifies_scram(stored: str, password: str) -> bool:
    """`stored` is SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey (RFC 5803)."""
    try:
        mechanism, parameters, keys = stored.split("$")
        iterations, salt = parameters.split(":")
        client_stored = base64.b64decode(keys.split(":")[0])
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    except ValueError:
        return False
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    expected = hashlib.sha256(client_key).digest()
    return mechanism == "SCRAM-SHA-256" and hmac.compare_digest(client_stored, expected)
