"""Code in the application's tables runs only as the application's role, is cancelled in time, and is reported."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from ecs_appliance.backup.disarm import disarm_roles
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.host import ownership, postgres, tables, wal
from ecs_appliance.host.postgres import Server

DOCUMENTS = "documents_document"
SPY = """
    create function public.spy(text) returns text language plpgsql as $$ begin
        insert into public.proofs values (session_user, current_user, $1);
        return $1;
    exception when others then return $1; end $$
"""
# Catches its cancellation and continues.
FOREVER = """
    create function public.stay(d documents_document) returns text language plpgsql as $$ begin
        loop
            begin perform pg_sleep(1000);
            exception when query_canceled then null; end;
        end loop;
    end $$
"""


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    postgres.create_database(server, "ecs", "C.UTF-8")
    as_app(
        server,
        "create table proofs (session text, as_user text, what text)",
        "create table documents_document (uuid text, name text)",
        "insert into documents_document values ('1', 'one')",
        SPY,
    )
    yield "ecs"
    postgres.drop_database(server, "ecs")
    with postgres.connected(server) as admin:
        admin.execute("alter role app reset all")
        admin.execute("drop role app")


def as_app(server: Server, *statements: str) -> list[tuple[object, ...]]:
    with psycopg.connect(host=server.host, port=server.port, user="app", dbname="ecs") as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_cast_of_rows_runs_as_the_role(server: Server, database: str) -> None:
    as_app(
        server,
        "create function public.as_text(d documents_document) returns text language sql as "
        "$$ select public.spy(d.name) $$",
        "create cast (documents_document as text) with function public.as_text(documents_document) as assignment",
    )
    tables.checksum_tables(server, database, [DOCUMENTS])
    point = wal.make_restore_point(server, "ecs-1", database, [DOCUMENTS])
    assert point.sums[DOCUMENTS].rows == 1
    assert as_app(server, "select distinct session, as_user, what from proofs") == [("app", "app", "one")]


def test_a_recovery_takes_what_the_role_may_make_and_no_code_of_the_server(server: Server, database: str) -> None:
    as_app(
        server,
        "create aggregate public.total(int) (sfunc = int4pl, stype = int)",
        "create type public.span as range (subtype = int)",
    )
    disarm_roles(server)
    with psycopg.connect(host=server.host, port=server.port, user="postgres", dbname=database) as admin:
        admin.execute("create function public.sum_up(int, int) returns int language internal as 'int4pl'")
    with pytest.raises(
        ApplianceError, match=r"functions that run with the server's rights: (public\.)?sum_up\(integer,integer\)$"
    ):
        disarm_roles(server)


def test_own_names_are_not_looked_up(server: Server, database: str) -> None:
    """Neither the database's search path nor functions with the names of PostgreSQL's own have any effect."""
    names = ("md5", "encode", "sha256", "left", "to_jsonb")
    as_app(
        server,
        "create schema evil",
        *(
            f"create function evil.{name}(anyelement) returns text language sql as $$ select public.spy('{name}') $$"
            for name in names
        ),
        "create function evil.eq(name, text) returns bool language sql as $$ select public.spy('=') is not null $$",
        "create operator evil.= (leftarg = name, rightarg = text, procedure = evil.eq)",
        "alter database ecs set search_path = evil, pg_catalog, public",
        "alter role app set search_path = evil, pg_catalog, public",
    )
    assert tables.named_rows(server, database, DOCUMENTS) == {"1": "one"}
    assert tables.checksum_tables(server, database, [DOCUMENTS])[DOCUMENTS].rows == 1
    assert not postgres.is_empty(server, database)
    assert not ownership.ensure_owner(server, database, "app")
    assert ownership.ensure_extension(server, database, "pg_stat_statements")
    assert as_app(server, "select * from public.proofs") == []


def test_view_in_the_place_of_a_table_is_named(server: Server, database: str) -> None:
    as_app(
        server,
        "alter table documents_document rename to kept",
        "create view documents_document as select public.spy(uuid) as uuid, name from kept",
    )
    with pytest.raises(ApplianceError, match="documents_document in the database ecs is not a table"):
        tables.count_rows(server, database, [DOCUMENTS])
    point = wal.make_restore_point(server, "ecs-2", database, [DOCUMENTS])
    assert (point.sums, point.trouble) == ({}, "documents_document in the database ecs is not a table")
    assert len(point.segment) == len("000000010000000000000001")
    assert as_app(server, "select * from proofs") == []


def test_what_never_ends_is_ended(server: Server, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    as_app(
        server,
        FOREVER,
        "create cast (documents_document as text) with function public.stay(documents_document) as assignment",
    )
    monkeypatch.setattr(postgres, "ASK_SECONDS", 1)
    monkeypatch.setattr(tables, "CHECKSUM_SECONDS", 1)
    began = time.monotonic()
    with pytest.raises(ApplianceError, match="terminating connection"):
        tables.checksum_tables(server, database, [DOCUMENTS])
    point = wal.make_restore_point(server, "ecs-3", database, [DOCUMENTS])
    assert "terminating connection" in point.trouble
    assert point.segment
    assert time.monotonic() - began < 20


def test_rows_that_a_policy_hides_are_an_error(server: Server, database: str) -> None:
    as_app(
        server,
        "alter table documents_document enable row level security",
        "alter table documents_document force row level security",
    )
    with pytest.raises(ApplianceError, match="row-level security"):
        tables.checksum_tables(server, database, [DOCUMENTS])


def test_what_it_says_steers_no_terminal(server: Server, database: str) -> None:
    as_app(
        server,
        "create function public.say(d documents_document) returns text language plpgsql as "
        "$$ begin raise exception E'\\x1b[2Jall is well\\r'; end $$",
        "create cast (documents_document as text) with function public.say(documents_document) as assignment",
    )
    with pytest.raises(ApplianceError) as caught:
        tables.checksum_tables(server, database, [DOCUMENTS])
    assert caught.value.message.isprintable()


def test_extension_does_not_take_what_was_planted_for_its_own(server: Server, database: str) -> None:
    as_app(
        server,
        "create view public.pg_stat_statements as select public.spy('view') as query",
        "create function public.pg_stat_statements(bool) returns text language sql as $$ select public.spy('f') $$",
    )
    with pytest.raises(ApplianceError, match="already exists"):
        ownership.ensure_extension(server, database, "pg_stat_statements")
    assert as_app(server, "select * from proofs") == []
    assert as_app(server, "select count(*) from pg_namespace where nspname like 'appliance%'") == [(0,)]
