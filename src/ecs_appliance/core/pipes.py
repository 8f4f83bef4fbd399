"""Pipes and process tree of a child process, both bounded by the child's time limit."""

import contextlib
import math
import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Protocol, cast

# In bytes.
LONGEST_LINE = 1024 * 1024
CHUNK = 64 * 1024
# Default maximum capacity of a pipe, see pipe(7).
LARGEST_PIPE = 1024 * 1024
POLL_SECONDS = 0.1
SHORTEST_POLL_SECONDS = 0.0005
# How long descendants may keep the pipes open after the child has exited.
LINGER_SECONDS = 1.0

Sink = Callable[[bytes], None]


class TimeIsUpError(Exception):
    """A child exceeded its time limit."""


class Child(Protocol):
    """The part of subprocess.Popen that this module needs."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    @property
    def returncode(self) -> int | None:
        """The exit code; None until `poll` or `wait` has collected it."""
        ...

    def poll(self) -> int | None:
        """Return the exit code, None while the child runs."""
        ...

    def wait(self) -> int:
        """Wait until the child has exited and return its exit code."""
        ...


class Lines:
    """Splits a stream into lines and passes each to `on_line`, without its line feed.

    A line is cut off at LONGEST_LINE bytes, so that a program that prints no line feed cannot fill our memory.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._line = bytearray()

    def feed(self, data: bytes) -> None:
        """Process the next bytes of the stream."""
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._add(piece)
            self._end()
        self._add(rest)

    def close(self) -> None:
        """Process the end of the stream: pass on an unfinished line."""
        if self._line:
            self._end()

    def _add(self, piece: bytes) -> None:
        self._line += piece[: LONGEST_LINE - len(self._line)]

    def _end(self) -> None:
        line = self._line.decode(errors="replace")
        self._line.clear()
        self._on_line(line)


def exchange(child: Child, content: bytes, sinks: Mapping[IO[bytes] | None, Sink], *, timeout: float) -> None:
    """Write `content` to the stdin of `child`, pass its output to the sink of each pipe, and return when it has exited.

    Output of descendants is read for at most LINGER_SECONDS after that. Raise TimeIsUpError after `timeout` seconds;
    the child keeps running then.
    """
    deadline = time.monotonic() + timeout
    ended = math.inf
    pause = SHORTEST_POLL_SECONDS
    with selectors.DefaultSelector() as selector:
        _register(selector, child, content, sinks)
        while time.monotonic() < ended + LINGER_SECONDS:
            if time.monotonic() > deadline:
                raise TimeIsUpError
            # Once the pipes are closed, poll for the exit: briefly at first, as most children exit right away.
            pause = SHORTEST_POLL_SECONDS if selector.get_map() else min(2 * pause, POLL_SECONDS)
            for key, _ in selector.select(POLL_SECONDS if selector.get_map() else pause):
                if not key.data():
                    _leave(selector, key)
            if ended == math.inf and has_ended(child):
                ended = time.monotonic()
            if ended < math.inf and not selector.get_map():
                return
        _drain(selector)


def _register(
    selector: selectors.BaseSelector, child: Child, content: bytes, sinks: Mapping[IO[bytes] | None, Sink]
) -> None:
    """Register the pipes; the data of each key is a function that reads or writes and returns whether to continue."""
    if child.stdin is not None:
        os.set_blocking(child.stdin.fileno(), False)
        selector.register(child.stdin, selectors.EVENT_WRITE, _Writer(child.stdin, content).write)
    for pipe, sink in sinks.items():
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, partial(_read, pipe, sink))


class _Writer:
    def __init__(self, pipe: IO[bytes], content: bytes) -> None:
        self._pipe = pipe
        self._left = memoryview(content)

    def write(self) -> bool:
        try:
            self._left = self._left[os.write(self._pipe.fileno(), self._left[:CHUNK]) :] if self._left else self._left
        except BlockingIOError:
            return True
        except BrokenPipeError:
            # The child need not read all of its input; its exit code says whether it succeeded.
            self._left = self._left[:0]
        return bool(self._left)


def _read(pipe: IO[bytes], sink: Sink) -> bool:
    try:
        data = os.read(pipe.fileno(), CHUNK)
    except BlockingIOError:
        return True
    if data:
        sink(data)
    return bool(data)


def _leave(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    selector.unregister(key.fileobj)
    close(cast(IO[bytes], key.fileobj))


def _drain(selector: selectors.BaseSelector) -> None:
    """Read what is in the pipes, at most what they can hold: descendants may keep writing."""
    for _ in range(LARGEST_PIPE // CHUNK):
        for key, events in selector.select(0):
            if events & selectors.EVENT_READ and not key.data():
                _leave(selector, key)


def has_ended(child: Child) -> bool:
    """Return whether `child` has exited. If possible it stays a zombie, so that its PID (and PGID) is not reused."""
    if not hasattr(os, "waitid"):
        return child.poll() is not None
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def kill_tree(child: Child) -> None:
    """Kill the process group of `child` and, if `child` still runs, all its descendants; then wait for `child`."""
    if child.returncode is not None:
        # Its PID may have been reused.
        return
    found = () if has_ended(child) else descendants(child.pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    child.wait()


def descendants(pid: int) -> list[int]:
    """Return the PIDs of all descendants of `pid`, except orphans, which have been reparented."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in parentheses may contain any character.
            parents[int(stat.parent.name)] = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    found = [pid]
    for known in found:
        found += [each for each, parent in parents.items() if parent == known]
    return found[1:]


def close(*pipes: IO[bytes] | None) -> None:
    """Close `pipes`, even if the other end has been closed."""
    for pipe in pipes:
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
