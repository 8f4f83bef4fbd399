"""Total time limits for connections; socket timeouts restart with every byte received."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer


@contextmanager
def cut_after(line: socket.socket, seconds: float) -> Iterator[Event]:
    """Shut down `line` after `seconds` unless the block ends first; yield an event that is set if that happened."""
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
