"""Only the two permitted modules open superuser sessions in the application's database."""

import inspect
from pathlib import Path

from ecs_appliance.host import postgres

SOURCE = Path(postgres.__file__).parents[1]


def test_the_superuser_names_no_database() -> None:
    assert list(inspect.signature(postgres.connected).parameters) == ["server"]


def test_nobody_else_enters_as_the_superuser() -> None:
    callers = {path.name for path in SOURCE.rglob("*.py") if "superuser_inside" in path.read_text()}
    assert callers == {"postgres.py", "ownership.py", "disarm.py"}


def test_nobody_else_connects() -> None:
    callers = {path.name for path in SOURCE.rglob("*.py") if "psycopg.connect(" in path.read_text()}
    assert callers == {"postgres.py"}


def test_programs_of_postgresql_come_as_the_role() -> None:
    assert "--username=app" in postgres.Server().options
