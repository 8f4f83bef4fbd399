"""An attacker with the application's database can define anything its role may, but runs it as that role only.

All traps are planted at once, as uid 1000 in the web container with the credentials it has; then everything that root
does with the database is run. A trap that a superuser runs into leaves a file.
"""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ecs_appliance.core.runner import Result
from tests.machine.backups import BACKUP, TARGET, WELL, alerts, own_settings, set_backup
from tests.machine.people import told

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

WEB = "ecs_ecs.web_1"
# Of the live server, which has its own /tmp, and of a second server.
PROOFS = "/var/lib/postgresql/17/main/hostile-* /tmp/hostile-*"
# What a recovery moves aside.
ASIDE = "/data/*.before-* /data/etc/*.before-* /data/postgresql/17/*.before-*"
HELD_UP_SECONDS = 240
SPY = r"""
create table public.proofs (way text, session_name text, current_name text);
create function public.spy(way text) returns text language plpgsql as $f$
declare place text;
begin
  if (select bool_or(rolsuper) from pg_catalog.pg_roles where rolname in (session_user, current_user)) then
    begin execute 'reset role'; exception when others then null; end;
    foreach place in array array['/var/lib/postgresql/17/main', '/tmp'] loop
      begin
        execute pg_catalog.format('copy (select 1) to program %L', 'read x; echo > ' || place || '/hostile-' || way);
      exception when others then null; end;
    end loop;
  end if;
  begin insert into public.proofs values (way, session_user, current_user); exception when others then null; end;
  return way;
end $f$;
create function public.spy_quietly(way text) returns text immutable language plpgsql as
  $f$ begin return public.spy(way); end $f$;
create schema evil;
create table public.hostile (id int);
insert into public.hostile values (1);
"""
WAYS = {
    "cast": """
        create function public.user_text(u auth_user) returns text language plpgsql as
          $f$ begin perform public.spy('cast'); return pg_catalog.to_jsonb(u)::text; end $f$;
        create cast (auth_user as text) with function public.user_text(auth_user) as assignment
    """,
    "json-cast": """
        create function public.user_json(u auth_user) returns json language plpgsql as
          $f$ begin perform public.spy('json-cast'); return pg_catalog.row_to_json(u); end $f$;
        create cast (auth_user as json) with function public.user_json(auth_user) as assignment
    """,
    "function": "".join(
        f"""create function evil.{name}(text) returns {kind} language plpgsql as
              $f$ begin perform public.spy('function'); return pg_catalog.{name}($1); end $f$;"""
        for name, kind in (("to_regclass", "regclass"), ("to_regnamespace", "regnamespace"), ("md5", "text"))
    ),
    "aggregate": """
        create function evil.more(bigint) returns bigint language plpgsql as
          $f$ begin perform public.spy('aggregate'); return $1 + 1; end $f$;
        create aggregate evil.count(*) (sfunc = evil.more, stype = bigint, initcond = '0')
    """,
    "range": """
        create function evil.apart(int, int) returns float8 immutable language plpgsql as
          $f$ begin perform public.spy('range'); return $2 - $1; end $f$;
        create type evil.span as range (subtype = int, subtype_diff = evil.apart, multirange_type_name = evil.spans)
    """,
    "operator": """
        create function evil.same(name, text) returns bool language plpgsql as
          $f$ begin perform public.spy('operator'); return $1::pg_catalog.text operator(pg_catalog.=) $2; end $f$;
        create operator evil.= (leftarg = name, rightarg = text, procedure = evil.same)
    """,
    "restore-point": """
        create function evil.pg_create_restore_point(text) returns pg_lsn language plpgsql as
          $f$ begin perform public.spy('restore-point'); return pg_catalog.pg_create_restore_point($1); end $f$;
        create function evil.pg_switch_wal() returns pg_lsn language plpgsql as
          $f$ begin perform public.spy('restore-point'); return null; end $f$
    """,
    "search-path": "alter database ecs set search_path = evil, public, pg_catalog",
    "role-settings": "alter role app in database ecs set search_path = evil, public, pg_catalog; "
    "alter role app set client_encoding = 'LATIN1'; alter database ecs set bytea_output = 'escape'",
    "default": "alter table hostile add column a text default public.spy('default')",
    "generated": "alter table hostile add column b text generated always as (public.spy_quietly('generated')) stored",
    "index": "create index by_spy on hostile (public.spy_quietly('index' || id))",
    "statistics": "create statistics seen on (public.spy_quietly('statistics' || id)), id from hostile",
    "check": "alter table hostile add check (public.spy_quietly('check') is not null)",
    "trigger": """
        create function public.fire() returns trigger language plpgsql as
          $f$ begin perform public.spy('trigger'); return new; end $f$;
        create trigger fire before insert or update on hostile for each row execute function public.fire();
        alter table hostile enable always trigger fire
    """,
    "rule": "create rule spied as on update to hostile do also select public.spy('rule')",
    "policy": "create policy spied on hostile using (public.spy('policy') is not null); "
    "alter table hostile enable row level security",
    "materialized-view": "create materialized view kept_view as select public.spy('materialized-view') from hostile",
    "view": "create view auth_user_seen as select public.spy('view'), u.* from auth_user u",
    "domain": "create domain public.spied as text default public.spy('domain') "
    "check (public.spy_quietly('domain') is not null); create table of_domain (a public.spied default 'a'); "
    "insert into of_domain default values",
    "comment": r"""comment on table hostile is E'\n\\! echo > /tmp/hostile-comment\n'""",
    "name": r"""create table "x
\! echo > /tmp/hostile-name
" (a int)""",
}
REFUSED = {
    "event trigger": "create function public.ev() returns event_trigger language plpgsql as $f$ begin end $f$; "
    "create event trigger spied on ddl_command_start execute function public.ev()",
    "foreign table": "create extension postgres_fdw",
    "program": "copy (select 1) to program 'true'",
    "file": "copy hostile to '/tmp/hostile-file'",
    "preload": "alter database ecs set session_preload_libraries = '/data/x.so'",
    "superuser": "alter role app superuser",
    "its extension": "create function public.f() returns int language c as '/data/x.so', 'f'",
}
CLEAN = r"""
alter database ecs reset all; alter role app in database ecs reset all; alter role app reset all;
set search_path = public;
drop cast if exists (auth_user as text); drop cast if exists (auth_user as json);
drop schema if exists evil cascade;
drop view if exists auth_user_seen; drop materialized view if exists kept_view;
drop table if exists hostile, of_domain, proofs cascade; drop domain if exists spied cascade;
drop table if exists "x
\! echo > /tmp/hostile-name
";
drop function if exists user_text, user_json, spy_quietly, spy, fire, ev, stay cascade;
"""


def attack(demo: "Demo", *statements: str) -> Result:
    """Run `statements` in the web container, as the application's own code."""
    code = f"""
import os, psycopg2
connection = psycopg2.connect(os.environ['DATABASE_URL'])
connection.autocommit = True
assert os.getuid() == 1000
for each in {statements!r}:
    connection.cursor().execute(each)
"""
    return demo.exec(["docker", "exec", "-i", WEB, "/start", "run", "python3", "-"], data=code)


def attacked(demo: "Demo", *statements: str) -> None:
    done = attack(demo, *statements)
    assert done.returncode == 0, done.stderr


def sprung(demo: "Demo") -> set[str]:
    """Return the traps that were run with more privileges than the role's."""
    found = demo.sh(f"ls {PROOFS} 2>/dev/null || true").splitlines()
    return {line.partition("hostile-")[2] for line in found}


@pytest.fixture(scope="module", autouse=True)
def own_target(demo: "Demo") -> Iterator[None]:
    with own_settings(demo):
        demo.sh(f"rm -rf {TARGET}; mkdir -p {TARGET}")
        set_backup(demo, url=f"file://{TARGET}/")
        try:
            yield
        finally:
            attack(demo, CLEAN)
            demo.sh(f"rm -rf {TARGET} {PROOFS} {ASIDE}; appliance backup run --nightly || true")


@pytest.fixture(scope="module")
def aftermath(demo: "Demo") -> set[str]:
    """Return the traps that were sprung after root has done everything it does with the database."""
    attack(demo, CLEAN)
    attacked(demo, SPY, *WAYS.values())
    demo.sh("psql -U postgres -c \"select public.spy('control')\" ecs; ls /var/lib/postgresql/17/main/hostile-control")
    demo.sh(f"rm {PROOFS} 2>/dev/null || true; psql -U app -c 'truncate public.proofs' ecs")
    told(demo, *BACKUP, "run", "--nightly", "--json")
    demo.sh("systemctl start appliance-backup-frequent")
    moment = demo.sh("date '+%Y-%m-%d %H:%M:%S'; sleep 2")
    told(demo, *BACKUP, "rehearse", "--json")
    told(demo, "appliance", "rewind", "--to", moment, "--json")
    demo.sh("appliance converge; systemctl restart appliance", timeout=600)
    found = sprung(demo)
    demo.sh("appliance recover --yes --move-aside", timeout=900)
    return found | sprung(demo)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_it_acts_as_anybody_else(way: str, aftermath: set[str]) -> None:
    assert way not in {name.rstrip("0123456789") for name in aftermath}


def test_the_role_springs_its_own_traps(demo: "Demo", aftermath: set[str]) -> None:
    """The role itself ran the cast when rows were summed up; nothing is reported, and nobody else ran a trap."""
    assert aftermath == set()
    asked = "select distinct session_name, current_name from proofs where way = 'cast'"
    assert demo.sh(f'psql -U app -Atc "{asked}" ecs') == "app|app"
    assert demo.sh("psql -U app -Atc \"select count(*) from proofs where session_name <> 'app'\" ecs") == "0"
    assert alerts(demo) == WELL
    assert demo.answers()


@pytest.mark.parametrize("what", REFUSED)
def test_what_takes_a_superuser_is_refused(demo: "Demo", what: str, aftermath: set[str]) -> None:
    done = attack(demo, REFUSED[what])
    assert "InsufficientPrivilege" in done.stderr, (aftermath, done.stderr)


def test_rows_that_cannot_be_summed_up_cost_no_backup_and_are_named(demo: "Demo", aftermath: set[str]) -> None:
    """A cast that never ends, and ignores cancellation."""
    assert aftermath == set()
    attacked(
        demo,
        """
        drop cast (auth_user as text);
        create function public.stay(u auth_user) returns text language plpgsql as $f$ begin
          loop begin perform pg_sleep(1000); exception when query_canceled then null; end; end loop; end $f$;
        create cast (auth_user as text) with function public.stay(auth_user) as assignment
        """,
    )
    began = time.monotonic()
    made = told(demo, *BACKUP, "run", "--json")
    assert time.monotonic() - began < HELD_UP_SECONDS
    listed = told(demo, *BACKUP, "list", "--json")["backups"]
    assert made["backup"] in {one["id"] for one in listed}
    assert "could not be recorded for its rehearsal" in alerts(demo)
    attacked(demo, "drop cast (auth_user as text)")


def test_view_in_the_place_of_a_table_is_named(demo: "Demo", aftermath: set[str]) -> None:
    assert aftermath == set()
    attacked(
        demo,
        "alter table documents_document rename to documents_kept; create view public.documents_document as "
        "select * from documents_kept where public.spy('place') is not null",
    )
    try:
        told(demo, *BACKUP, "run", "--json")
        assert "documents_document in the database ecs is not a table" in alerts(demo)
    finally:
        attacked(demo, "drop view public.documents_document; alter table documents_kept rename to documents_document")
    told(demo, *BACKUP, "run", "--json")
    assert alerts(demo) == WELL
    assert sprung(demo) == set()


def test_rows_hidden_from_the_dump_cost_no_backup_and_are_named(demo: "Demo", aftermath: set[str]) -> None:
    assert aftermath == set()
    attacked(demo, "alter table hostile force row level security")
    before = demo.sh("stat --format=%Y /data/ecs-pgdump/ecs.pgdump.gz")
    told(demo, *BACKUP, "run", "--nightly", "--json")
    assert "without a dump of the database" in alerts(demo)
    assert demo.sh("stat --format=%Y /data/ecs-pgdump/ecs.pgdump.gz") == before
    attacked(demo, "alter table hostile no force row level security")
    assert json.loads(demo.sh("appliance backup run --nightly --json"))["backup"]
    assert alerts(demo) == WELL


def test_powers_that_the_role_was_given_are_taken_away(demo: "Demo", aftermath: set[str]) -> None:
    assert aftermath == set()
    demo.sh("psql -U postgres -c 'alter role app superuser' -c 'grant pg_write_server_files to app'")
    demo.sh("systemctl restart appliance", timeout=600)
    asked = "select rolsuper, (select count(*) from pg_auth_members where member = r.oid) from pg_roles r"
    assert demo.sh(f"psql -U postgres -Atc \"{asked} where rolname = 'app'\"") == "f|0"
    assert "superuser, member of pg_write_server_files" in alerts(demo)
    demo.sh("systemctl restart appliance", timeout=600)
    assert alerts(demo) == WELL
