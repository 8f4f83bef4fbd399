"""A disk that is really full: failures that must not be retried are latched and reported. Needs root."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ecs_appliance.core.errors import ApplianceError, ExitCode, LatchedError, StorageError
from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.core.transcript import transcript
from ecs_appliance.lifecycle.boundary import run_stage
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.latch import latched

RUN = SystemRunner().run


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Context]:
    """Yield a machine whose root filesystem is completely full; /run is in memory, as on every machine."""
    root = tmp_path / "root"
    root.mkdir()
    RUN(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", root], timeout=30)
    try:
        (root / "run").mkdir()
        RUN(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", root / "run"], timeout=30)
        try:
            for folder in ("var/www/html", "var/lib/ecs-appliance", "var/lib/prometheus/node-exporter", "var/log"):
                (root / folder).mkdir(parents=True)
            RUN(["dd", "if=/dev/zero", f"of={root}/filler", "bs=4k"], timeout=30, ok=(1,))
            yield Context(Paths(root))
        finally:
            RUN(["umount", root / "run"], timeout=30)
    finally:
        RUN(["umount", root], timeout=30)


def fail(context: Context, stage: str, work: object) -> ApplianceError:
    assert callable(work)
    with pytest.raises(ApplianceError) as caught:
        run_stage(context, stage, work)
    return caught.value


def test_a_migration_that_failed_is_latched_and_not_tried_again(full: Context) -> None:
    def migrate(context: Context) -> None:
        with context.steps().step("migration", "migrating the database"):
            raise LatchedError("the migration of the database failed: no space left", "go back")

    failure = fail(full, "prepare-ecs", migrate)
    assert (failure.message, failure.exit_code) == (
        "the migration of the database failed: no space left",
        ExitCode.GAVE_UP,
    )
    assert latched(full.paths)
    standing = full.alerts.standing()
    assert [alert.topic for alert in standing] == ["unit:prepare-ecs.service"]
    assert "no space left" in standing[0].message
    (full.paths.root / "filler").unlink()
    run_stage(full, "prepare-ecs", lambda _: None)
    assert full.alerts.standing() == []


@pytest.mark.parametrize("stage", ["backup", "update", "reload", "prepare-appliance"])
def test_what_could_not_be_written_is_named_with_the_remedy(full: Context, stage: str) -> None:
    failure = fail(full, stage, lambda context: write_atomic(context.paths.state / "x", "x" * 100_000))
    assert type(failure) is StorageError
    assert "No space left on device" in failure.message
    assert "df -h" in failure.hint
    assert [alert.hint for alert in full.alerts.standing()] == [failure.hint]


def test_an_output_that_is_not_kept_costs_no_command(full: Context) -> None:
    seen: list[str] = []
    with transcript(full.paths.logs / "build.log", seen.append) as take:
        for number in range(2000):
            take(f"{number} {'x' * 1000}")
    assert len(seen) == 2000
