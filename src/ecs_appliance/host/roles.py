"""Reset the application's role, its password, privileges and database, as superuser and outside that database."""

import base64
import hashlib
import hmac
from typing import Literal

from psycopg import sql

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.host.postgres import Connection, Server, connected, create_hint

PasswordMethod = Literal["scram-sha-256", "md5"]

POWERS = ("superuser", "createrole", "createdb", "replication", "bypassrls")
# Keeps the password's verifier out of the server's log and of pg_stat_statements.
DISCREET = (
    "set log_statement = 'none'",
    "set log_min_duration_statement = -1",
    "set log_min_error_statement = 'panic'",
    "set pg_stat_statements.track_utility = off",
)


def ensure_role(server: Server, name: str, password: str, method: PasswordMethod) -> bool:
    """Make `name` a role that logs in with `password`, stored as `method`; return whether anything changed.

    The server receives only a verifier, never the password.
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
    """Return how the password of role `name` is stored; None without role or password."""
    with connected(server) as connection:
        row = connection.execute("select rolpassword from pg_authid where rolname = %s", [name]).fetchone()
    if row is None or row[0] is None:
        return None
    return "md5" if row[0].startswith("md5") else "scram-sha-256"


def restrict_role(server: Server, name: str) -> tuple[str, ...]:
    """Remove the attributes POWERS and all memberships from role `name`, and return the removed ones."""
    columns = sql.SQL(", ").join(sql.Identifier(f"rol{power}") for power in ("super", *POWERS[1:]))
    memberships = """
        select quote_ident(pg_get_userbyid(roleid)), quote_ident(pg_get_userbyid(grantor))
        from pg_auth_members where member = %s::regrole
    """
    with connected(server) as connection:
        role = sql.Identifier(name)
        held = connection.execute(sql.SQL("select {} from pg_roles where rolname = %s").format(columns), [name])
        found = [power for power, is_held in zip(POWERS, held.fetchone() or (), strict=False) if is_held]
        for power in found:
            connection.execute(sql.SQL("alter role {} {}").format(role, sql.SQL(f"no{power}")))
        for granted, grantor in connection.execute(memberships, [name]).fetchall():
            revoking = sql.SQL("revoke {} from {} granted by {} cascade")
            connection.execute(revoking.format(sql.SQL(granted), role, sql.SQL(grantor)))
            found.append(f"member of {granted}")
    return tuple(found)


def ensure_open(server: Server, database: str, role: str) -> bool:
    """Give `database` to `role`, and reopen it for connections if the role closed it; return whether it changed."""
    state = """
        select datdba = %(role)s::regrole, datallowconn and datconnlimit = -1,
               has_database_privilege(%(role)s, datname, 'connect')
        from pg_database where datname = %(database)s
    """
    name, owner = sql.Identifier(database), sql.Identifier(role)
    remedies = (
        sql.SQL("alter database {} owner to {}").format(name, owner),
        sql.SQL("alter database {} with allow_connections true connection limit -1").format(name),
        sql.SQL("grant connect on database {} to {}").format(name, owner),
    )
    with connected(server) as connection:
        row = connection.execute(state, {"role": role, "database": database}).fetchone()
        if row is None:
            raise ApplianceError(f"there is no database {database}", create_hint(database))
        wrong = [remedy for remedy, well in zip(remedies, row, strict=True) if not well]
        for remedy in wrong:
            connection.execute(remedy)
    return bool(wrong)


def _verifier(connection: Connection, role: str, password: str, method: PasswordMethod) -> str:
    return connection.pgconn.encrypt_password(password.encode(), role.encode(), method.encode()).decode()


def _verifies(stored: str, role: str, password: str, method: PasswordMethod) -> bool:
    if method == "md5":
        digest = hashlib.md5(f"{password}{role}".encode(), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(stored, f"md5{digest}")
    return _verifies_scram(stored, password)


def _verifies_scram(stored: str, password: str) -> bool:
    """Return whether `password` matches `stored`: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey (RFC 5803)."""
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
