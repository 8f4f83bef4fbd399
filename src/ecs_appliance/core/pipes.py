"""A child's pipes and its process tree: neither outlives the time the child has."""

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
# What a pipe may hold at most, see pipe(7).
LARGEST_PIPE = 1024 * 1024
POLL_SECONDS = 0.1
SHORTEST_POLL_SECONDS = 0.0005
# How long descendants may hold the pipes of a child that has ended.
LINGER_SECONDS = 1.0

Sink = Callable[[bytes], None]


class TimeIsUpError(Exception):
    """A child runs longer than it may."""


class Child(Protocol):
    """The part of subprocess.Popen that this module needs."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    @property
    def returncode(self) -> int | None:
        """The exit code as far as poll or wait have met it."""
        ...

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        ...

    def wait(self) -> int:
        """Return the exit code once it has ended."""
        ...


class Lines:
    """Cut a stream into lines for `on_line`, each without its end.

    The rest of a line beyond LONGEST_LINE is dropped: a program that ends none must not fill our memory.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._line = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._add(piece)
            self._end()
        self._add(rest)

    def close(self) -> None:
        """Take the end of the stream."""
        if self._line:
            self._end()

    def _add(self, piece: bytes) -> None:
        self._line += piece[: LONGEST_LINE - len(self._line)]

    def _end(self) -> None:
        line = self._line.decode(errors="replace")
        self._line.clear()
        self._on_line(line)


def exchange(child: Child, content: bytes, sinks: Mapping[IO[bytes] | None, Sink], *, timeout: float) -> None:
    """Write `content` to the stdin of `child`, pass what it prints to the sink of each pipe, and return at its end.

    What descendants print later than LINGER_SECONDS after that end is not read. Raises TimeIsUpError after
    `timeout` seconds; the child runs on then.
    """
    deadline = time.monotonic() + timeout
    ended = math.inf
    pause = SHORTEST_POLL_SECONDS
    with selectors.DefaultSelector() as selector:
        _register(selector, child, content, sinks)
        while time.monotonic() < ended + LINGER_SECONDS:
            if time.monotonic() > deadline:
                raise TimeIsUpError
            # Without a pipe only the end is waited for, which most children reach as they close theirs.
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
    """Have `selector` call, by the data of a key, what reads or writes a pipe and returns whether to go on."""
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
            # Whatever it did not want to read, its exit code says how it fared.
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
    """Read what was in the pipes when the child ended, and no more: somebody may go on writing."""
    for _ in range(LARGEST_PIPE // CHUNK):
        for key, events in selector.select(0):
            if events & selectors.EVENT_READ and not key.data():
                _leave(selector, key)


def has_ended(child: Child) -> bool:
    """Return whether `child` has ended. It stays a zombie where it can, so that its number stays that of its group."""
    if not hasattr(os, "waitid"):
        return child.poll() is not None
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def kill_tree(child: Child) -> None:
    """Kill what is left of the process group of `child`, and where `child` runs, all its descendants; wait for it."""
    if child.returncode is not None:
        # Its number may be another's by now.
        return
    found = () if has_ended(child) else descendants(child.pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    child.wait()


def descendants(pid: int) -> list[int]:
    """Return the processes that `pid` started, directly or not; those whose parent has ended are not known any more."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in brackets may hold anything.
            parents[int(stat.parent.name)] = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    found = [pid]
    for known in found:
        found += [each for each, parent in parents.items() if parent == known]
    return found[1:]


def close(*pipes: IO[bytes] | None) -> None:
    """Close `pipes`, whoever has closed the other end."""
    for pipe in pipes:
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
