"""Processes: real ones."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecs_appliance.core.errors import DeadlineError
from ecs_appliance.core.runner import CommandError, SystemRunner, end

SOURCES = Path(__file__).parents[3] / "src"


def test_output_code_and_input() -> None:
    result = SystemRunner().run(["sh", "-c", "cat; echo err >&2; exit 3"], input="in", timeout=10, ok=(3,))
    assert (result.stdout, result.stderr, result.returncode) == ("in", "err\n", 3)


def test_bytes_go_in_and_come_out_as_they_are() -> None:
    data = bytes(range(256)) * 1000
    result = SystemRunner().run(["cat"], input=data, timeout=10)
    assert result.raw == data
    assert "raw" not in repr(result)


def test_stdin_is_closed_without_input() -> None:
    assert SystemRunner().run(["cat"], timeout=10).stdout == ""


def test_the_environment_is_minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "hunter2")
    output = SystemRunner().run(["env"], env={"EXTRA": "yes"}, timeout=10).stdout
    assert "MY_SECRET" not in output
    assert "EXTRA=yes" in output


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 4", "exit code 4"), ("kill -9 $$", "SIGKILL")],
)
def test_failures_tell_how_it_ended(script: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        SystemRunner().run(["sh", "-c", script], timeout=10)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(CommandError, match="no-such-program is not installed"):
        SystemRunner().run(["no-such-program"], timeout=10)


def test_secrets_are_masked_in_failures() -> None:
    with pytest.raises(CommandError) as caught:
        SystemRunner().run(["sh", "-c", "echo pass=geheim99; exit 1"], timeout=10, secrets=("geheim99",))
    assert "geheim99" not in caught.value.message + caught.value.output


@pytest.mark.parametrize("streaming", [False, True])
def test_a_timeout_kills_the_whole_group(tmp_path: Path, *, streaming: bool) -> None:
    mark = tmp_path / "mark"
    script = f"(sleep 2; touch {mark}) & sleep 30"
    began = time.monotonic()
    with pytest.raises(DeadlineError):
        SystemRunner().run(["sh", "-c", script], timeout=0.5, on_line=print if streaming else None)
    assert time.monotonic() - began < 5
    time.sleep(2.2)
    assert not mark.exists()


TYING = """
import sys
from ecs_appliance.core.runner import SystemRunner
SystemRunner().run(["sh", "-c", "echo $$ >&2; exec sleep 60"], timeout=90, user="nobody", tied=True, on_line=print)
"""


def test_what_is_tied_does_not_outlive_who_is_killed(tmp_path: Path) -> None:
    """Also as another user."""
    said = tmp_path / "said"
    argv = [sys.executable, "-u", "-c", TYING]
    runs = SystemRunner().spawn(argv, env={"PYTHONPATH": str(SOURCES)}, output=said)
    assert _soon(lambda: said.read_text().endswith("\n"))
    process = Path("/proc", said.read_text().strip())
    assert process.exists()
    runs.kill()
    runs.wait()
    assert _soon(lambda: not process.exists())


def _soon(met: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not met() and time.monotonic() < deadline:
        time.sleep(0.05)
    return met()


def test_a_tied_command_that_fails_is_called_by_its_own_name() -> None:
    with pytest.raises(CommandError, match=r"^sh -c exit 3 failed with exit code 3"):
        SystemRunner().run(["sh", "-c", "exit 3"], timeout=10, tied=True)


def test_lines_come_as_they_are_written() -> None:
    seen: list[tuple[str, float]] = []
    SystemRunner().run(
        ["sh", "-c", "echo one; sleep 0.5; echo two >&2"],
        timeout=10,
        on_line=lambda line: seen.append((line, time.monotonic())),
    )
    assert [line for line, _ in seen] == ["one", "two"]
    assert seen[1][1] - seen[0][1] > 0.3


def test_a_spawned_process_outlives_the_call_and_is_ended(tmp_path: Path) -> None:
    process = SystemRunner().spawn(
        ["sh", "-c", "trap '' TERM; echo up; sleep 60 & wait; sleep 60"], output=tmp_path / "log"
    )
    assert process.poll() is None
    end(process, grace=0.5)
    assert process.poll() is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_spawned_process_is_followed_line_by_line() -> None:
    seen: list[str] = []
    process = SystemRunner().spawn(["sh", "-c", "echo one; echo two >&2"], on_line=seen.append)
    deadline = time.monotonic() + 5
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    end(process, grace=1)
    assert seen == ["one", "two"]
