"""Machines with their own kernel and drives, run by QEMU without hardware acceleration."""

import contextlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import Process, SystemRunner
from lab.qemu import Drive, Kernel, plan_qemu
from lab.virtio_guest import CREDENTIALS, PORT, VirtioGuest

BOOT_SECONDS = 300.0
POWEROFF_SECONDS = 90.0
KILL_SECONDS = 10.0
TAIL_LINES = 20
POLL_SECONDS = 0.2


class VirtualMachine:
    """One virtual machine; a `with` statement boots it and cuts its power at the end.

    It is killed when the thread that started it ends, however that happens. Only its logs in `folder` are left.
    """

    def __init__(
        self, folder: Path, runner: SystemRunner, *, drives: Sequence[Drive], kernel: Kernel | None = None
    ) -> None:
        self.console = folder / "console.log"
        self.log = folder / "qemu.log"
        self.runner = runner
        self.drives = tuple(drives)
        self.kernel = kernel
        self._process: Process | None = None
        self._connection: socket.socket | None = None
        self._guest: VirtioGuest | None = None

    @property
    def guest(self) -> VirtioGuest:
        """Return its guest. Raise ApplianceError if the machine was not started."""
        if self._guest is None:
            raise ApplianceError("the virtual machine was not started")
        return self._guest

    @property
    def pid(self) -> int | None:
        """Return the pid of the machine's process on this host, None while it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, seconds: float = BOOT_SECONDS) -> None:
        """Boot until the shell inside answers; units may still be starting. Raise ApplianceError with the log."""
        self.kill()
        self._connection, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self._process = self.runner.spawn(self._plan(number), output=self.log, pass_fds=[number])
        self._guest = VirtioGuest(self._connection)
        try:
            self._guest.wait_open(seconds)
        except ApplianceError as error:
            self.kill()
            raise ApplianceError(
                f"{error.message}:\n{self._log_tail()}", f"see the whole log: {self.console}"
            ) from None

    def stop(self, seconds: float = POWEROFF_SECONDS) -> bool:
        """Shut down cleanly, by force after `seconds`; return whether no force was needed."""
        self.guest.run(["systemctl", "poweroff", "--no-block"], timeout=30)
        deadline = time.monotonic() + seconds
        while self.pid is not None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        ended = self.pid is None
        self.kill()
        return ended

    def kill(self) -> None:
        """Cut the power; do nothing if the machine does not run."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait(KILL_SECONDS)
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = self._guest = None

    def _plan(self, descriptor: int) -> list[str]:
        return plan_qemu(
            self.drives,
            kernel=self.kernel,
            console=self.console,
            port=(PORT, descriptor),
            credentials=CREDENTIALS,
        )

    def _log_tail(self) -> str:
        logs = (file.read_text(errors="replace") for file in (self.log, self.console) if file.exists())
        return "\n".join(line for log in logs for line in log.splitlines()[-TAIL_LINES:])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
