"""Logging to the journal under systemd, else plain lines on stderr. Registered secrets are masked."""

import logging
import os
import stat
import sys

from ecs_appliance.core.text import shown_line

JOURNAL_SOCKETS = "/run/systemd/journal"
MASK = "*****"
# Shorter strings would mask parts of ordinary words.
SHORTEST_SECRET = 6

_secrets: set[str] = set()


def register_secret(*values: str) -> None:
    """Mask each of `values`, and each long line of a multi-line one, in everything logged from now on."""
    for value in values:
        _secrets.update(part for part in (value, *value.splitlines()) if len(part.strip()) >= SHORTEST_SECRET)


def masked(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return `text` with all registered secrets, and `secrets`, replaced by MASK."""
    for secret in sorted((*secrets, *_secrets), key=len, reverse=True):
        if secret:
            text = text.replace(secret, MASK)
    return text


class MaskingFormatter(logging.Formatter):
    """Formats records, including tracebacks, with secrets masked; under systemd, lines start with the priority.

    Control and invisible characters are escaped. Under systemd, all lines of a record after the first are indented, so
    that untrusted text in a record cannot look like a record of its own.
    """

    def __init__(self, *, journal: bool) -> None:
        super().__init__("%(message)s")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        first, *others = map(shown_line, masked(super().format(record)).split("\n"))
        if not self._journal:
            return "\n".join((first, *others))
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join((prefix + first, *(prefix + _set_in(line) for line in others)))


def _set_in(line: str) -> str:
    return line if line.startswith("  ") else f"  {line}"


def _priority(level: int) -> int:
    for limit, priority in ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6)):
        if level >= limit:
            return priority
    return 7


def is_journal(descriptor: int) -> bool:
    """Return whether `descriptor` is connected to the journal; see JOURNAL_STREAM in systemd.exec(5)."""
    state = os.fstat(descriptor)
    if os.environ.get("JOURNAL_STREAM") == f"{state.st_dev}:{state.st_ino}":
        return True
    # The variable names one stream, but standard output and standard error may be different ones.
    return stat.S_ISSOCK(state.st_mode) and _peer(descriptor).startswith(JOURNAL_SOCKETS)


def _peer(descriptor: int) -> str:
    """Return the path that the socket `descriptor` is connected to; empty if it is not connected to a path."""
    import socket  # noqa: PLC0415 # the command line must start at once

    with socket.socket(fileno=os.dup(descriptor)) as stream:
        try:
            return str(stream.getpeername())
        except OSError:
            return ""


def set_up_logging(*, verbose: bool = False) -> None:
    """Send the project's log to stderr; to be called once, by the command line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskingFormatter(journal=is_journal(2)))
    logger = logging.getLogger("ecs_appliance")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
