"""Run real processes."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecs_appliance.core.errors import DeadlineError
from ecs_appliance.core.pipes import LONGEST_LINE
from ecs_appliance.core.runner import CommandError, ProcessError, SystemRunner, end

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


STREAMING = pytest.mark.parametrize("streaming", [False, True])


@STREAMING
def test_a_timeout_kills_the_whole_group(tmp_path: Path, *, streaming: bool) -> None:
    mark = tmp_path / "mark"
    script = f"(sleep 2; touch {mark}) & sleep 30"
    began = time.monotonic()
    with pytest.raises(DeadlineError):
        SystemRunner().run(["sh", "-c", script], timeout=0.5, on_line=print if streaming else None)
    assert time.monotonic() - began < 5
    time.sleep(2.2)
    assert not mark.exists()


@STREAMING
def test_what_a_command_leaves_behind_does_not_hold_it(tmp_path: Path, *, streaming: bool) -> None:
    """Like a hook with `daemon &`: the daemon has inherited our pipe, and is killed with its process group."""
    script = f"sleep 3600 & echo $! > {tmp_path}/pid; echo said"
    result = SystemRunner().run(["sh", "-c", script], timeout=50, on_line=print if streaming else None)
    assert result.stdout.strip() == "said"
    assert _soon(lambda: not _runs(tmp_path / "pid"))


@STREAMING
def test_a_daemon_with_a_session_of_its_own_does_not_hold_it_either(tmp_path: Path, *, streaming: bool) -> None:
    """It is meant to keep running, and does; its output is not waited for."""
    script = f"setsid sh -c 'echo $$ > {tmp_path}/pid; while sleep 0.01; do echo chatter; done' & sleep 0.5; echo said"
    result = SystemRunner().run(["sh", "-c", script], timeout=50, on_line=(lambda _: None) if streaming else None)
    assert "said" in result.stdout
    os.kill(int((tmp_path / "pid").read_text()), 9)


@STREAMING
def test_a_timeout_reaches_descendants_in_sessions_of_their_own(tmp_path: Path, *, streaming: bool) -> None:
    script = f"setsid sh -c 'echo $$ > {tmp_path}/pid; sleep 3600' & wait"
    with pytest.raises(ProcessError):
        SystemRunner().run(["sh", "-c", script], timeout=1, on_line=print if streaming else None)
    assert _soon(lambda: not _runs(tmp_path / "pid"))


def _runs(pid_file: Path) -> bool:
    state = Path("/proc", pid_file.read_text().strip(), "stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


@STREAMING
def test_a_program_that_does_not_read_its_input_reports_its_own_error(*, streaming: bool) -> None:
    for size in (1, 100_000, 3_000_000):
        with pytest.raises(CommandError, match="exit code 3"):
            SystemRunner().run(
                ["sh", "-c", "exit 3"], input=b"x" * size, timeout=10, on_line=print if streaming else None
            )


def test_input_larger_than_a_pipe_goes_in_while_lines_come_out() -> None:
    lines: list[str] = []
    SystemRunner().run(["cat"], input="0123456789\n" * 100_000, timeout=30, on_line=lines.append)
    assert len(lines) == 100_000 and set(lines) == {"0123456789"}


def test_a_line_without_an_end_is_cut() -> None:
    lines: list[str] = []
    script = "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last"
    SystemRunner().run(["sh", "-c", script], timeout=30, on_line=lines.append)
    assert [len(line) for line in lines] == [LONGEST_LINE, 4]


def test_a_process_that_fails_and_one_that_takes_too_long_are_of_one_kind() -> None:
    for script in ("exit 3", "echo so far; sleep 60"):
        with pytest.raises(ProcessError) as caught:
            SystemRunner().run(["sh", "-c", script], timeout=0.5)
    assert isinstance(caught.value, DeadlineError)
    assert caught.value.output == "so far"


def test_a_reader_of_lines_that_fails_ends_the_process(tmp_path: Path) -> None:
    def full(_: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        SystemRunner().run(["sh", "-c", f"echo $$ > {tmp_path}/pid; echo; sleep 3600"], timeout=50, on_line=full)
    assert _soon(lambda: not _runs(tmp_path / "pid"))


TYING = """
import sys
from ecs_appliance.core.runner import SystemRunner
argv = ["sh", "-c", "echo $$ >&2; exec sleep 60"]
SystemRunner().run(argv, timeout=90, user="nobody", die_with_parent=True, on_line=print)
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
        SystemRunner().run(["sh", "-c", "exit 3"], timeout=10, die_with_parent=True)


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
