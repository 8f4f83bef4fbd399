"""The interface to a running machine, independent of how commands reach it."""

import base64
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ecs_appliance.core.errors import DeadlineError
from ecs_appliance.core.runner import Result

READY_STATES = ("running", "degraded")
FILE_SECONDS = 120.0
STATE_SECONDS = 20.0
POLL_SECONDS = 0.1


class Guest(ABC):
    """A running machine as seen from this host: run commands, copy files, wait for the boot."""

    @abstractmethod
    def run(
        self,
        words: Sequence[str | Path],
        *,
        timeout: float,
        data: str | bytes | None = None,
        ok: Sequence[int] = (0,),
    ) -> Result:
        """Run the command `words` inside as root; `timeout` and `ok` as in Runner.run, `data` as its `input`."""

    def sh(self, script: str, *, timeout: float = 60.0, ok: Sequence[int] = (0,)) -> str:
        """Run a shell script inside and return its output; for tests and short queries."""
        return self.run(["sh", "-euc", script], timeout=timeout, ok=ok).stdout

    def push(self, target: PurePosixPath | str, data: str | bytes, *, mode: int = 0o644) -> None:
        """Write `data` to the file `target` inside, creating its folders; symlinks resolve as in the machine."""
        words = ["install", "-D", f"--mode={mode:o}", "/dev/stdin", str(target)]
        self.run(words, data=data, timeout=FILE_SECONDS)

    def pull(self, source: PurePosixPath | str) -> bytes:
        """Return the contents of the file `source` inside."""
        encoded = self.run(["base64", "--wrap=0", str(source)], timeout=FILE_SECONDS).stdout
        return base64.b64decode(encoded)

    def state(self, *, waits: bool = False, timeout: float = STATE_SECONDS) -> str:
        """Return the state of systemd inside (starting, running, degraded, …), empty while it does not answer.

        With `waits`, return only once it has booted.
        """
        words = ["systemctl", "is-system-running", *(["--wait"] if waits else [])]
        return self.run(words, timeout=timeout, ok=range(256)).stdout.strip()

    def wait_ready(self, seconds: float) -> str:
        """Wait until the machine has booted; return `running`, or `degraded` if a unit failed.

        Raise DeadlineError after `seconds`.
        """
        deadline = time.monotonic() + seconds
        state = ""
        while state not in READY_STATES:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeadlineError(f"the machine did not boot within {seconds:g} s ({state or 'no answer'})")
            with suppress(DeadlineError):
                state = self.state(waits=True, timeout=left)
            time.sleep(POLL_SECONDS)
        return state
