"""Every failure of a stage results in latch, alert, page and exit code, even if some of these cannot be written."""

import errno
from copy import copy
from pathlib import Path
from typing import cast

import pytest

from ecs_appliance.cli import stage as commands
from ecs_appliance.core.errors import ApplianceError, ExitCode, LatchedError, StorageError, UnexpectedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.lifecycle.boundary import STAGES, run_stage
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.failed import tell_service_failed
from ecs_appliance.lifecycle.latch import latched
from tests.fakes import AnsweringRunner

FULL = OSError(errno.ENOSPC, "No space left on device", "/var/lib/x")
UNITS = Path(__file__).parents[3] / "salt/states/appliance/files/units"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return context_of(tmp_path, restarts=0)


def answering(text: str) -> SystemRunner:
    """Return a systemd that answers `text` to everything."""
    return cast(SystemRunner, AnsweringRunner(lambda argv: (0, text, "")))


def context_of(root: Path, *, restarts: int) -> Context:
    return Context(Paths(root), answering(f"NRestarts={restarts}\n"))


def fail(context: Context, name: str, error: Exception) -> ApplianceError:
    def work(_: Context) -> None:
        raise error

    with pytest.raises(ApplianceError) as caught:
        run_stage(context, name, work)
    return caught.value


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ApplianceError("why", "next"), ApplianceError),
        (FULL, StorageError),
        (KeyError("surprise"), UnexpectedError),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "reason"), UnexpectedError),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), UnexpectedError),
    ],
    ids=["known", "disk full", "bug", "encoding", "pipe"],
)
def test_whatever_fails_is_an_alert_until_it_succeeds(
    context: Context, name: str, error: Exception, kind: type[ApplianceError]
) -> None:
    failure = fail(context, name, copy(error))
    assert type(failure) is kind
    alert = context.alerts.standing()[0]
    assert alert.topic == f"unit:{STAGES[name].unit}"
    assert failure.summary in alert.message
    assert alert.hint
    assert (context.page.shown() is not None) == STAGES[name].away
    run_stage(context, name, lambda _: None)
    assert context.alerts.standing() == []


def test_every_stage_has_the_unit_that_starts_it() -> None:
    named = {command.name for command in commands.app.registered_commands}
    assert named == set(STAGES)
    for name, stage in STAGES.items():
        unit, _, part = stage.unit.partition(":")
        if name != "install" and not part:
            assert f"appliance stage {name}" in (UNITS / unit).read_text()


def test_what_must_not_be_retried_latches_and_gives_up(context: Context) -> None:
    failure = fail(context, "prepare-ecs", LatchedError("between two versions", "go back"))
    assert latched(context.paths)
    assert failure.exit_code == ExitCode.GAVE_UP


@pytest.mark.parametrize("unwritable", ["run", "var/www/html", "var/lib/ecs-appliance"])
def test_a_latch_is_set_whatever_else_cannot_be_written(tmp_path: Path, unwritable: str) -> None:
    """A file in place of the folder acts like a full disk; permissions would not stop root."""
    context = context_of(tmp_path, restarts=0)
    (tmp_path / unwritable).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / unwritable).touch()
    failure = fail(context, "prepare-ecs", LatchedError("between two versions", "go back"))
    assert (failure.message, failure.exit_code) == ("between two versions", ExitCode.GAVE_UP)
    assert latched(context.paths) == (unwritable != "run")
    assert [alert.topic for alert in context.alerts.standing()] == ["unit:prepare-ecs.service"]


@pytest.mark.parametrize(("restarts", "code"), [(0, 1), (1, 1), (2, 8), (3, 8)])
def test_a_stage_is_retried_twice(tmp_path: Path, restarts: int, code: int) -> None:
    assert fail(context_of(tmp_path, restarts=restarts), "prepare-ecs", FULL).exit_code == code


def test_where_systemd_does_not_say_how_often_it_retried_it_has(tmp_path: Path) -> None:
    mute = AnsweringRunner(lambda argv: (1, "", "Failed to connect to bus"))
    context = Context(Paths(tmp_path), mute)  # type: ignore[arg-type]
    assert fail(context, "prepare-ecs", FULL).exit_code == ExitCode.GAVE_UP


def test_what_stands_among_the_alerts_is_not_reported_twice(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ApplianceError("the target is away", "look there")
    context.alerts.put_failure("backup", "warning", "backup failed", error)
    monkeypatch.setenv("INVOCATION_ID", "5eed")
    fail(context, "backup", error)
    assert [alert.topic for alert in context.alerts.standing()] == ["backup"]
    unit = STAGES["backup"].unit
    for invocation, reported in (("5eed", True), ("a later one", False)):
        later = Context(context.paths, answering(f"InvocationID={invocation}\nResult=exit-code\n"))
        tell_service_failed(later, unit)
        assert later.alerts.stands(f"unit:{unit}") != reported
