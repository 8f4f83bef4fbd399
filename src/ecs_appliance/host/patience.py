"""How long restic may try again what a server does not do: by itself it would for a quarter of an hour."""

import re
import time
from collections.abc import Callable

from ecs_appliance.core.runner import CommandError

RETRY_SECONDS = 60.0
# Whoever asks for the first time wants to know soon.
FIRST_SECONDS = 5.0
FAILED = re.compile(r"(?P<what>\w+\(.*?\)) returned error, retrying after \S+: (?P<why>.*)")
DONE = re.compile(r"(?P<what>\w+\(.*?\)) operation successful after")
# What does not become well by waiting.
HOPELESS = re.compile(
    r"x509:|no such host|bucket does not exist|Access ?Denied|RequestTimeTooSkewed|Access Key Id|signature we calc"
)
# An ssh that has ended: restic does not start another, and may wait for this one until its own lock is too old.
ENDED = (
    re.compile(
        r"subprocess ssh: (?P<why>.*(not responding|closed by|connection reset|broken pipe|disconnect).*)", re.I
    ),
    re.compile(r"\) failed: (?P<why>ssh command exited.*)"),
)


class Patience:
    """Hears the lines that restic prints, and gives up on it after `seconds` of failure.

    An operation fails from the first attempt that is told of to the one that succeeds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._failing: dict[str, float] = {}

    def hear(self, line: str) -> None:
        """Take note of `line`. Raises CommandError, which ends the run, where it is of no use to wait."""
        if ended := next(filter(None, (pattern.search(line) for pattern in ENDED)), None):
            raise CommandError(f"restic lost its connection: {ended['why']}", output=line)
        if done := DONE.search(line):
            self._failing.pop(done["what"], None)
        elif failed := FAILED.search(line):
            now = self._clock()
            began = self._failing.setdefault(failed["what"], now)
            if now - began >= self.seconds or HOPELESS.search(failed["why"]):
                raise CommandError(f"restic did not get on: {failed['why']}", output=line)
