"""Keeps the full output of a long command in a file, as an error message has only one line of it."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ecs_appliance.core.log import masked

log = logging.getLogger(__name__)


@contextmanager
def transcript(file: Path, on_line: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """Yield a function that passes each line to `on_line` and appends it, with secrets masked, to `file`.

    The previous file is kept as NAME.1. If the file cannot be written, lines are lost but the command continues.
    """
    try:
        descriptor = _open(file)
    except OSError as error:
        log.warning("the output is not saved in %s: %s", file, error.strerror)
        yield on_line
        return
    full = False

    def take(line: str) -> None:
        nonlocal full
        on_line(line)
        if full:
            return
        try:
            os.write(descriptor, masked(f"{line}\n").encode(errors="replace"))
        except OSError as error:
            full = True
            log.warning("cannot write the rest of the output to %s: %s", file, error.strerror)

    try:
        yield take
    finally:
        os.close(descriptor)


def _open(file: Path) -> int:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.exists():
        file.replace(file.with_name(f"{file.name}.1"))
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
