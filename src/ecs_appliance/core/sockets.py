"""Limits on connections, whose own time limits begin anew with each byte."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer


@contextmanager
def cut_after(line: socket.socket, seconds: float) -> Iterator[Event]:
    """Shut `line` down `seconds` from now, unless the block ends before; the event tells whether that happened."""
    is_cut = Event()
    with socket.socket(fileno=os.dup(line.fileno())) as same:

        def cut() -> None:
            is_cut.set()
            with suppress(OSError):
                same.shutdown(socket.SHUT_RDWR)

        timer = Timer(seconds, cut)
        timer.start()
        try:
            yield is_cut
        finally:
            timer.cancel()
