"""Role, owner, extension, locale and dump, with a real server."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ecs_appliance.core.errors import ApplianceError, DatabaseError, DeadlineError, NotRunningError
from ecs_appliance.core.runner import CommandError, Result, SystemRunner
from ecs_appliance.host import dumps, ownership, postgres, roles, tables
from ecs_appliance.host.postgres import Server
from ecs_appliance.host.roles import PasswordMethod

RUNNER = SystemRunner()
PASSWORD = "it's a 'pass$word' with ümlaut"


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    with psycopg.connect(host=server.host, port=server.port, user="postgres", autocommit=True) as admin:
        # ICU collations have versions on every machine; those of the C library would need a generated locale.
        admin.execute("create database ecs template template0 locale_provider icu icu_locale 'de-AT'")
        admin.execute("create role app login")
        admin.execute("alter database ecs owner to app")
        yield "ecs"
        admin.execute("drop database ecs with (force)")
        admin.execute("drop role if exists app")


def as_superuser(server: Server, database: str, *statements: str) -> list[tuple[object, ...]]:
    with psycopg.connect(host=server.host, port=server.port, user="postgres", dbname=database) as admin:
        for statement in statements:
            cursor = admin.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def as_app(server: Server, database: str, *statements: str) -> list[tuple[object, ...]]:
    with psycopg.connect(host=server.host, port=server.port, user="app", dbname=database) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def log_in(server: Server, database: str, password: str) -> str:
    with psycopg.connect(
        host="127.0.0.1", port=server.port, user="app", password=password, dbname=database
    ) as connection:
        row = connection.execute("select current_user").fetchone()
    return str(row[0]) if row else ""


def test_tells_databases_that_exist(server: Server, database: str) -> None:
    assert postgres.database_exists(server, database)
    assert not postgres.database_exists(server, "nothing")


@pytest.mark.parametrize("method", ["scram-sha-256", "md5"])
def test_role_logs_in_and_a_second_run_changes_nothing(server: Server, database: str, method: PasswordMethod) -> None:
    assert roles.ensure_role(server, "app", PASSWORD, method)
    assert log_in(server, database, PASSWORD) == "app"
    assert not roles.ensure_role(server, "app", PASSWORD, method)
    assert roles.stored_method(server, "app") == method


def test_role_follows_password_and_method(server: Server, database: str) -> None:
    roles.ensure_role(server, "app", PASSWORD, "md5")
    assert roles.ensure_role(server, "app", "another", "md5")
    assert roles.ensure_role(server, "app", "another", "scram-sha-256")
    assert log_in(server, database, "another") == "app"
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        log_in(server, database, PASSWORD)


def test_role_without_login_or_password_is_completed(server: Server, database: str) -> None:
    as_superuser(server, database, "alter role app nologin")
    assert roles.stored_method(server, "app") is None
    assert roles.ensure_role(server, "app", PASSWORD, "md5")
    assert log_in(server, database, PASSWORD) == "app"


@pytest.mark.parametrize("method", ["scram-sha-256", "md5"])
def test_server_keeps_no_trace_of_the_password(
    server: Server, database: str, cluster: Path, method: PasswordMethod
) -> None:
    ownership.ensure_extension(server, "postgres", "pg_stat_statements")
    roles.ensure_role(server, "app", PASSWORD, method)
    verifier = str(as_superuser(server, database, "select rolpassword from pg_authid where rolname = 'app'")[0][0])
    statements = str(as_superuser(server, "postgres", "select query from pg_stat_statements"))
    log = (cluster / "log").read_text()
    for secret in (PASSWORD, verifier):
        assert secret not in log
        assert secret not in statements
    assert "select rolpassword" in log  # the log does contain statements


def test_owner_gets_everything_but_what_an_extension_made(server: Server, database: str) -> None:
    roles.ensure_role(server, "app", PASSWORD, "scram-sha-256")
    ownership.ensure_extension(server, database, "pg_stat_statements")
    as_superuser(
        server,
        database,
        'create table "Odd ""Name"" of a table" (id serial primary key)',
        "create table parts (id int generated always as identity, day date) partition by range (day)",
        "create table parts_1 partition of parts for values from ('2020-01-01') to ('2021-01-01')",
        "create sequence alone",
        "create view seen as select 1",
        "create materialized view kept as select 1",
    )
    assert ownership.ensure_owner(server, database, "app")
    owned = """select relname, pg_get_userbyid(relowner) from pg_class c join pg_namespace n on n.oid = relnamespace
               where nspname = 'public' and relkind in ('r', 'p', 'v', 'm', 'S')"""
    owners = {str(name): owner for name, owner in as_superuser(server, database, owned)}
    assert {name for name, owner in owners.items() if owner != "app"} == {
        "pg_stat_statements",
        "pg_stat_statements_info",
    }
    assert len(owners) == 10
    assert as_superuser(server, database, "select pg_get_userbyid(datdba) from pg_database where datname = 'ecs'") == [
        ("app",)
    ]
    assert not ownership.ensure_owner(server, database, "app")


def test_owner_gets_what_lies_in_any_schema(server: Server, database: str) -> None:
    """A function that was loaded by the superuser would run with its privileges for every caller."""
    as_superuser(
        server,
        database,
        "create schema reports",
        "create function reports.f(a int, b text default 'x') returns int language sql security definer as 'select 1'",
        "create procedure reports.p() language sql as 'select 1'",
        "create aggregate reports.total(int) (sfunc = int4pl, stype = int)",
        "create type reports.pair as (a int, b int)",
        "create type reports.mood as enum ('good')",
        "create type reports.span as range (subtype = int)",
        "create domain reports.small as int check (value < 10)",
        "create operator reports.=== (leftarg = int, rightarg = int, procedure = int4eq)",
        "create operator class reports.ints for type int using btree as operator 1 <",
        'create collation reports.c from "C"',
        "create conversion reports.conv for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8",
        "create text search configuration reports.ts (copy = simple)",
        "create text search dictionary reports.dict (template = simple)",
        "create table reports.t (a int primary key, b int)",
        "create statistics reports.both (dependencies) on a, b from reports.t",
        "select lo_create(4711)",
    )
    assert ownership.ensure_owner(server, database, "app")
    assert not ownership.ensure_owner(server, database, "app")
    query = (
        "select pg_get_userbyid(proowner) from pg_proc where pronamespace = 'reports'::regnamespace and proname = 'f'"
    )
    assert as_superuser(server, database, query) == [("app",)]


def test_role_keeps_no_power(server: Server, database: str) -> None:
    as_superuser(
        server,
        "postgres",
        "alter role app superuser createdb createrole replication bypassrls",
        "grant pg_execute_server_program, pg_write_server_files to app",
    )
    taken = roles.restrict_role(server, "app")
    assert set(taken) == {
        *("superuser", "createdb", "createrole", "replication", "bypassrls"),
        *("member of pg_execute_server_program", "member of pg_write_server_files"),
    }
    assert roles.restrict_role(server, "app") == ()
    with postgres.application(server, database) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("copy (select 1) to program 'true'")


def test_shut_database_is_opened(server: Server, database: str) -> None:
    """Its owner can close it, even to itself."""
    with postgres.application(server, database) as connection:
        connection.execute("revoke connect on database ecs from public, app")
        connection.execute("alter database ecs with connection limit 0")
    with pytest.raises(ApplianceError, match="does not let app connect"):
        tables.has_rows(server, database, "auth_user")
    assert not postgres.is_empty(server, database)
    assert roles.ensure_open(server, database, "app")
    assert not roles.ensure_open(server, database, "app")
    assert postgres.is_empty(server, database)
    assert not tables.has_rows(server, database, "auth_user")


def test_extension_is_made_once(server: Server, database: str) -> None:
    assert ownership.ensure_extension(server, database, "pg_stat_statements")
    assert not ownership.ensure_extension(server, database, "pg_stat_statements")


def test_locale_is_read_and_a_stale_one_refreshed(server: Server, database: str) -> None:
    as_superuser(server, database, "create table words (word text primary key)")
    assert postgres.read_locale(server, database) == postgres.Locale("UTF8", "C.UTF-8", "C.UTF-8", stale=False)
    assert not postgres.refresh_collation(server, database)
    as_superuser(server, database, "update pg_database set datcollversion = '1.0' where datname = 'ecs'")
    assert postgres.read_locale(server, database).stale
    assert postgres.refresh_collation(server, database)
    assert not postgres.read_locale(server, database).stale


def test_missing_database_is_told_with_the_next_step(server: Server, database: str) -> None:
    with pytest.raises(ApplianceError, match="there is no database nothing") as caught:
        ownership.ensure_owner(server, "nothing", "postgres")
    assert "createdb nothing" in caught.value.hint
    with pytest.raises(ApplianceError, match="there is no database nothing"):
        postgres.read_locale(server, "nothing")


def test_dump_can_be_restored(server: Server, database: str, tmp_path: Path) -> None:
    as_app(server, database, "create table words (word text)", "insert into words values ('größer')")
    target = tmp_path / "dumps" / "ecs.pgdump"
    dumps.dump(RUNNER, server, database, target, owner=(1000, 1000))
    assert (target.stat().st_mode & 0o777, target.stat().st_uid) == (0o600, 1000)
    listing = RUNNER.run(["pg_restore", "--file=-", target], timeout=30).stdout
    assert "größer" in listing
    assert list(tmp_path.rglob("*")) == [target.parent, target]


def test_dump_is_loaded_as_the_role(server: Server, database: str, tmp_path: Path) -> None:
    """Everything it runs has that role's privileges; whatever needs a superuser is skipped."""
    ownership.ensure_extension(server, database, "pg_stat_statements")
    as_superuser(server, database, "comment on extension pg_stat_statements is 'of the superuser'")
    as_superuser(server, database, "alter schema public owner to app")
    as_app(
        server,
        database,
        "create table ran (by text)",
        "create function spy() returns int language sql as "
        "$$ insert into public.ran values (session_user) returning 1 $$",
        "create function note(a int) returns int immutable language plpgsql as $$ begin return public.spy(); end $$",
        "create table words (a int)",
        "insert into words values (1)",
        "create materialized view seen as select public.note(a) from words with no data",
        "create index by_note on words (public.note(a))",
    )
    target = tmp_path / "dumps" / "ecs.pgdump"
    dumps.dump(RUNNER, server, database, target)
    RUNNER.run(["gzip", target], timeout=60)
    postgres.create_database(server, "other", "C.UTF-8")
    try:
        dumps.load(RUNNER, server, target.with_name("ecs.pgdump.gz"), "other", timeout=60)
        assert as_app(server, "other", "select distinct by from ran") == [("app",)]
        owners = "select distinct pg_get_userbyid(relowner) from pg_class where relnamespace = 'public'::regnamespace"
        assert as_app(server, "other", owners) == [("app",)]
    finally:
        postgres.drop_database(server, "other")


def test_failed_dump_leaves_the_old_one(server: Server, database: str, tmp_path: Path) -> None:
    target = tmp_path / "dumps" / "ecs.pgdump"
    target.parent.mkdir()
    target.write_text("the last good one")
    with pytest.raises(CommandError, match="nothing"):
        dumps.dump(RUNNER, server, "nothing", target)
    assert target.read_text() == "the last good one"
    assert list(tmp_path.rglob("*")) == [target.parent, target]


def test_dump_of_a_killed_run_goes(server: Server, database: str, tmp_path: Path) -> None:
    (tmp_path / ".dumps.new").write_text("half")
    target = tmp_path / "dumps" / "ecs.pgdump"
    dumps.dump(RUNNER, server, database, target)
    assert target.read_bytes().startswith(b"PGDMP")
    assert list(tmp_path.rglob("*")) == [target.parent, target]


def test_a_description_tells_whether_anything_was_migrated(server: Server, database: str) -> None:
    """Documents and their order do not matter; every table, column and applied migration does."""
    applied = "public.django_migrations"
    with pytest.raises(CommandError, match="no matching tables"):
        dumps.describe(RUNNER, server, database, applied)
    as_app(server, database, "create table django_migrations (id int, name text)", "create table documents (n int)")
    first = dumps.describe(RUNNER, server, database, applied)
    as_app(server, database, "insert into documents values (1)")
    assert dumps.describe(RUNNER, server, database, applied) == first
    seen = [first]
    for change in (
        "insert into django_migrations values (1, '0001')",
        "alter table documents add column m int",
        "create index on documents (n)",
    ):
        as_app(server, database, change)
        seen.append(dumps.describe(RUNNER, server, database, applied))
    assert len(set(seen)) == len(seen)
    as_app(server, database, "drop index documents_n_idx")
    assert dumps.describe(RUNNER, server, database, applied) == seen[2]


def test_dump_is_not_built_where_others_write(server: Server, database: str, tmp_path: Path) -> None:
    """While it is being written, the folder contains nothing that its owner could replace by a link."""
    seen: list[str] = []

    class Watching(SystemRunner):
        def run(self, argv: Sequence[str | Path], **options: Any) -> Result:
            seen.extend(path.name for path in target.parent.iterdir())
            return super().run(argv, **options)

    precious = tmp_path / "precious"
    precious.write_text("of root")
    (tmp_path / ".dumps.new").symlink_to(precious)
    target = tmp_path / "dumps" / "ecs.pgdump"
    dumps.dump(Watching(), server, database, target, owner=(1000, 1000))
    assert seen == []
    assert (precious.read_text(), precious.stat().st_uid) == ("of root", 0)
    assert target.is_file() and not target.is_symlink()


def test_no_server_is_told_within_the_deadline(tmp_path: Path) -> None:
    absent = Server(host=str(tmp_path))
    with pytest.raises(NotRunningError, match="does not answer"):
        postgres.database_exists(absent, "ecs")
    with pytest.raises(DeadlineError, match=r"for 0\.3 s"):
        postgres.wait_ready(absent, deadline=0.3)


def test_waits_for_a_server_that_comes_up(server: Server, tmp_path: Path) -> None:
    late = Server(host=str(tmp_path), port=server.port)
    timer = threading.Timer(0.5, lambda: late.socket.symlink_to(server.socket))
    timer.start()
    began = time.monotonic()
    postgres.wait_ready(late, deadline=10)
    assert 0.4 < time.monotonic() - began < 5
    timer.join()


def test_a_statement_that_fails_is_an_error_of_the_database(server: Server) -> None:
    with (
        pytest.raises(DatabaseError, match=r"the database postgres reports: .*no_such_table"),
        postgres.connected(server) as session,
    ):
        session.execute("select * from no_such_table")


def test_a_session_that_the_server_ends_is_one_that_does_not_run(server: Server) -> None:
    with pytest.raises(NotRunningError, match="PostgreSQL ended the session"), postgres.connected(server) as session:
        session.execute("select pg_terminate_backend(pg_backend_pid())")
