"""Which parts of a dump are loaded as the application's role."""

from ecs_appliance.host.dumps import plan_load

CONTENTS = """\
;
; Archive created at 2026-11-28 02:00:00 CET
;     dbname: ecs
;
2; 3079 16500 EXTENSION - pg_stat_statements
4000; 0 0 COMMENT - EXTENSION pg_stat_statements
1; 3079 12393 EXTENSION - plpgsql
3; 3079 16600 EXTENSION - hstore
6; 2615 2200 SCHEMA - public app
215; 1259 16390 TABLE public auth_user app
216; 1259 16391 TABLE public EXTENSION - plpgsql app
"""


def test_what_takes_a_superuser_is_not_loaded() -> None:
    """A table may have any name, even one like this; an extension that the database's owner may create is created."""
    assert plan_load(CONTENTS.splitlines()) == ["3", "215", "216"]
