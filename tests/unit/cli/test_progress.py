"""Progress on a terminal while a command runs, and errors that an alert has already logged."""

import io
import logging

import pytest

from ecs_appliance.cli.main import report
from ecs_appliance.cli.progress import describe, progress, restic_progress
from ecs_appliance.core.errors import ApplianceError


class Terminal(io.StringIO):
    """A terminal that records its output."""

    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard error a terminal, and remove log handlers that write to the previous standard error."""
    monkeypatch.setattr(logging.getLogger("ecs_appliance"), "handlers", [])
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stderr", terminal)
    return terminal


def test_the_percentage_is_shown_while_restic_knows_one() -> None:
    messages: list[dict[str, object]] = [{"message_type": "status"}, {"percent_done": 0}, {"percent_done": 0.25}]
    messages.append({"message_type": "summary", "files_new": 3})
    shown = [describe("backing up", message) for message in messages]
    assert shown == ["backing up", "backing up", "backing up: 25%", "backing up"]


def test_a_terminal_shows_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with restic_progress("backing up") as on_progress:
        on_progress({"percent_done": 0.25})
    assert "backing up" in terminal.getvalue()


def test_file_names_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with progress("reading") as step:
        step("reading [red]a[/red].png")
    assert "[red]a[/red].png" in terminal.getvalue()


def test_what_is_logged_meanwhile_is_kept_and_the_log_goes_on_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    log = logging.getLogger("ecs_appliance")
    handler = logging.StreamHandler(terminal)
    log.addHandler(handler)
    with progress("restoring"):
        log.error("a line")
        assert handler.stream is not terminal
    assert handler.stream is terminal
    assert "a line" in terminal.getvalue()


def test_a_pipe_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stderr", pipe)
    with restic_progress("backing up") as on_progress:
        on_progress({"percent_done": 0.5})
    assert pipe.getvalue() == ""


@pytest.mark.parametrize(("alerted", "lines"), [(True, 0), (False, 2)])
def test_an_error_that_an_alert_has_just_logged_is_not_printed_again(
    alerted: bool, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecs_appliance.cli.main._logged", ["warning: backup failed: no room\n  → make room"])
    said: list[object] = []
    monkeypatch.setattr("ecs_appliance.cli.main.log.error", lambda *words: said.append(words))
    error = ApplianceError("no room", "make room")
    error.alerted = alerted
    report(error)
    assert len(said) == lines
