"""Starts processes; nothing else in the project does."""

import logging
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn, Protocol

from ecs_appliance.core.errors import ApplianceError, DeadlineError
from ecs_appliance.core.log import masked
from ecs_appliance.core.pipes import CHUNK, Lines, TimeIsUpError, close, exchange, kill_tree

log = logging.getLogger(__name__)

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
if sys.platform == "darwin":
    # Homebrew on Apple silicon.
    SYSTEM_PATH += ":/opt/homebrew/bin"
BASE_ENVIRONMENT = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
# Inherited because proxies and private CAs need them; nothing else of our environment is.
INHERITED = ("http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "PIP_CERT", "TERM")
OUTPUT_TAIL_LINES = 20
DIE_WITH_PARENT = ("setpriv", "--pdeathsig=TERM", "--")

Process = subprocess.Popen[bytes]


class ProcessError(ApplianceError):
    """A process failed or timed out. `output` is the end of its output; `returncode` is None if it has none."""

    def __init__(self, message: str, hint: str = "", *, returncode: int | None = None, output: str = "") -> None:
        super().__init__(message, hint)
        self.returncode = returncode
        self.output = output


class CommandError(ProcessError):
    """A process exited with an unexpected code, was killed by a signal, or could not be started."""


class ProcessDeadlineError(ProcessError, DeadlineError):
    """A process exceeded its time limit and was killed."""


@dataclass(frozen=True)
class Result:
    """Result of a process; `seconds` is wall time, `raw` its undecoded standard output."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    raw: bytes = field(default=b"", repr=False)

    def lines(self) -> list[str]:
        """Return the non-blank lines of standard output."""
        return [line for line in self.stdout.splitlines() if line.strip()]


class Runner(Protocol):
    """Interface for starting processes; implemented by `SystemRunner` and by fakes in tests."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        timeout: float,
        input: str | bytes | IO[bytes] | None = None,  # noqa: A002 # the name subprocess has made known
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        ok: Sequence[int] = (0,),
        secrets: Sequence[str] = (),
        on_line: Callable[[str], None] | None = None,
        die_with_parent: bool = False,
        output: IO[bytes] | None = None,
    ) -> Result:
        """Run `argv` without a shell, wait at most `timeout` seconds for it to exit, and return its result.

        `input` is written to stdin; by default stdin is empty. `env` is added to a minimal environment. `user` is the
        account to run as. `secrets` are masked in logs and errors. `on_line` is called with each line of stdout and
        stderr as it arrives. With `die_with_parent`, the process gets SIGTERM when the calling thread ends, even if it
        is killed. For data too large for memory, `input` and `output` are open files; `output` receives stdout instead
        of the result.
        Leftovers of its process group are killed when it has exited. Raise CommandError if the exit code is not in
        `ok`, ProcessDeadlineError after `timeout` (it and its descendants are killed); both are a ProcessError.
        """
        ...


class SystemRunner:
    """Runs processes on this machine."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        timeout: float,
        input: str | bytes | IO[bytes] | None = None,  # noqa: A002
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        ok: Sequence[int] = (0,),
        secrets: Sequence[str] = (),
        on_line: Callable[[str], None] | None = None,
        die_with_parent: bool = False,
        output: IO[bytes] | None = None,
    ) -> Result:
        """See Runner.run."""
        words = [str(word) for word in argv]
        hidden = tuple(secrets)
        log.debug("$ %s", masked(" ".join(words), hidden))
        began = time.monotonic()
        started = [*DIE_WITH_PARENT, *words] if die_with_parent else words
        data = input.encode() if isinstance(input, str) else input or b""
        source = None if isinstance(data, bytes) else data
        process = _start(
            started,
            env=env,
            cwd=cwd,
            user=user,
            merged=on_line is not None,
            hidden=hidden,
            source=source,
            output=output,
        )
        captured, errors = bytearray(), bytearray()
        lines = Lines(_tee(captured, on_line)) if on_line else None
        try:
            exchange(
                process,
                data if isinstance(data, bytes) else b"",
                {process.stdout: lines.feed if lines else captured.extend, process.stderr: errors.extend},
                timeout=timeout,
            )
            if lines:
                lines.close()
        except TimeIsUpError:
            raise _too_long(words, timeout, _tail(bytes(errors or captured), hidden), hidden) from None
        finally:
            kill_tree(process)
            close(process.stdin, process.stdout, process.stderr)
        seconds = time.monotonic() - began
        if process.returncode not in ok:
            raise _failure(words, process.returncode, _tail(bytes(errors or captured), hidden), hidden)
        said = captured.decode(errors="replace"), errors.decode(errors="replace")
        return Result(tuple(words), process.returncode, *said, seconds, bytes(captured))

    def spawn(
        self,
        argv: Sequence[str | Path],
        *,
        output: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Process:
        """Start `argv` in a session of its own and return immediately. Raise CommandError if it cannot be started.

        Its output is appended to the file `output`, or passed by line to `on_line` (in a thread), or goes to our own
        streams. `pass_fds` are open descriptors that it inherits under the same numbers.
        """
        words = [str(word) for word in argv]
        sink: IO[bytes] | None = output.open("ab") if output else None
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if on_line else sink,
                stderr=subprocess.STDOUT if on_line or sink else None,
                env=_environment(env),
                start_new_session=True,
                pass_fds=pass_fds,
            )
        except OSError as error:
            raise CommandError(f"{words[0]} could not be started: {error.strerror}") from None
        finally:
            if sink:
                sink.close()
        if on_line:
            _follow(process, on_line)
        return process

    def replace(self, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> NoReturn:
        """Replace this process with `argv` (exec): for shells, and to hand over to another release."""
        words = [str(word) for word in argv]
        os.execvpe(words[0], words, _environment(env))  # noqa: S606 # no shell is the point

    def interact(self, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> int:
        """Run `argv` on our own terminal, without a time limit, and return its exit code."""
        words = [str(word) for word in argv]
        return subprocess.run(words, env=_environment(env), check=False).returncode


def _follow(process: Process, on_line: Callable[[str], None]) -> None:
    from threading import Thread  # noqa: PLC0415 # only streaming runs pay for threads

    def read() -> None:
        assert process.stdout is not None  # noqa: S101 # spawn asked for it
        lines = Lines(on_line)
        with process.stdout as pipe:
            while data := os.read(pipe.fileno(), CHUNK):
                lines.feed(data)
        lines.close()

    Thread(target=read, daemon=True).start()


def end(process: Process, *, grace: float) -> None:
    """Terminate a spawned process; kill its process tree if it has not exited after `grace` seconds."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        kill_tree(process)


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**BASE_ENVIRONMENT, **inherited, **(extra or {})}


def _start(
    words: list[str],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    user: str | None,
    merged: bool,
    hidden: tuple[str, ...],
    source: IO[bytes] | None,
    output: IO[bytes] | None,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words,
            stdin=source or subprocess.PIPE,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            env=_environment(env),
            cwd=cwd,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise CommandError(f"{words[0]} is not installed", f"install the package that contains {words[0]}") from None
    except (OSError, KeyError, LookupError) as error:
        raise CommandError(f"{words[0]} could not be started: {masked(str(error), hidden)}") from None


def _tee(kept: bytearray, on_line: Callable[[str], None]) -> Callable[[str], None]:
    def take(line: str) -> None:
        kept.extend(line.encode(errors="replace") + b"\n")
        on_line(line)

    return take


def _tail(output: bytes, hidden: tuple[str, ...]) -> str:
    lines = output.decode(errors="replace").strip().split("\n")
    return masked("\n".join(lines[-OUTPUT_TAIL_LINES:]), hidden)


def _too_long(words: list[str], timeout: float, tail: str, hidden: tuple[str, ...]) -> ProcessDeadlineError:
    message = f"{masked(words[0], hidden)} did not finish within {timeout:g} s"
    return ProcessDeadlineError(message, "find out what it is waiting for, then try again", output=tail)


def _failure(words: list[str], returncode: int, tail: str, hidden: tuple[str, ...]) -> CommandError:
    name = masked(" ".join(words[:3]), hidden)
    ended = returncode < 0
    how = f"was ended by {signal.Signals(-returncode).name}" if ended else f"failed with exit code {returncode}"
    return CommandError(f"{name} {how}" + (f":\n{tail}" if tail else ""), returncode=returncode, output=tail)
