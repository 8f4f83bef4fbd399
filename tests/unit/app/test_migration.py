"""When the database is migrated, and which dumps are kept."""

from pathlib import Path

import pytest

from ecs_appliance.app.migration import Decision, outdated, plan_migration

OLD, NEW = "a" * 40, "b" * 40
ADDED = ["ecs/users/migrations/0002_more.py"]


@pytest.mark.parametrize(
    ("last", "added", "auto", "decision"),
    [
        (None, None, True, "migrate"),
        (None, None, False, "migrate"),
        (NEW, [], True, "bootstrap"),
        (NEW, None, False, "bootstrap"),
        (OLD, [], True, "bootstrap"),
        (OLD, [], False, "bootstrap"),
        (OLD, ADDED, True, "migrate"),
        (OLD, ADDED, False, "held"),
        (OLD, None, True, "migrate"),
        (OLD, None, False, "held"),
    ],
)
def test_decision(last: str | None, added: list[str] | None, auto: bool, decision: Decision) -> None:
    assert plan_migration(last, NEW, added, auto=auto) == decision


def dumps(*commits: str) -> list[Path]:
    return [Path(f"ecs-before-migration.2026010{day}T000000Z.{commit}.pgdump") for day, commit in enumerate(commits)]


def test_three_dumps_stay() -> None:
    kept = dumps("1" * 12, "2" * 12, "3" * 12)
    assert outdated(kept) == []
    more = dumps("1" * 12, "2" * 12, "3" * 12, "4" * 12)
    assert outdated(more) == more[:1]


def test_first_dump_of_a_migration_that_keeps_failing_stays() -> None:
    failing = dumps("1" * 12, "b" * 12, "b" * 12, "b" * 12, "b" * 12)
    assert outdated(failing, NEW) == failing[:1]
    assert outdated(failing) == failing[:2]
