"""Limit how long restic retries failing operations; its own limit is a quarter of an hour."""

import re
import time
from collections.abc import Callable

from ecs_appliance.core.runner import CommandError

RETRY_SECONDS = 60.0
# For the first command, so that an unreachable server is reported soon.
FIRST_COMMAND_SECONDS = 5.0
FAILED = re.compile(r"(?P<what>\w+\(.*?\)) returned error, retrying after \S+: (?P<why>.*)")
DONE = re.compile(r"(?P<what>\w+\(.*?\)) operation successful after")
# Failures that waiting does not fix.
NOT_RETRYABLE = re.compile(
    r"x509:|no such host|bucket does not exist|Access ?Denied|RequestTimeTooSkewed|Access Key Id|signature we calc"
)
# ssh has exited: restic does not start it again, and may wait for it until its own lock is too old.
ENDED = (
    re.compile(
        r"subprocess ssh: (?P<why>.*(not responding|closed by|connection reset|broken pipe|disconnect).*)", re.I
    ),
    re.compile(r"\) failed: (?P<why>ssh command exited.*)"),
)


class RetryBudget:
    """Reads restic's output and gives up once an operation has been failing for `seconds`.

    An operation is failing from its first reported failure until it succeeds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._failing: dict[str, float] = {}

    def read(self, line: str) -> None:
        """Process `line`. Raise CommandError, which ends the run, if waiting is pointless."""
        if ended := next(filter(None, (pattern.search(line) for pattern in ENDED)), None):
            raise CommandError(f"restic lost the connection: {ended['why']}", output=line)
        if done := DONE.search(line):
            self._failing.pop(done["what"], None)
        elif failed := FAILED.search(line):
            now = self._clock()
            began = self._failing.setdefault(failed["what"], now)
            if now - began >= self.seconds or NOT_RETRYABLE.search(failed["why"]):
                raise CommandError(f"restic could not continue: {failed['why']}", output=line)
