"""Run temporary processes on untrusted data: under another account, without network, without access to other data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.runner import CommandError, Result, Runner
from ecs_appliance.host import systemd

START_SECONDS, STOP_SECONDS = 60, 120
# Data, sockets and secrets of the machine; of these folders, only the paths that a fence names are visible.
HIDDEN = ("/app", "/data", "/run", "/volatile")
PROPERTIES = (
    "CapabilityBoundingSet=",
    "KeyringMode=private",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "PrivateNetwork=yes",
    "PrivateTmp=yes",
    "ProcSubset=pid",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RestrictAddressFamilies=AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "SystemCallFilter=@system-service",
    "UMask=0077",
    *(f"TemporaryFileSystem={path}:ro" for path in HIDDEN),
)


@dataclass(frozen=True)
class Fence:
    """The transient service `unit`, for one process of the account `user` at a time.

    Of the machine's data it sees only `writable` and `readable`, within the permissions of the account and its
    `groups`. `properties` are additional ones for systemd.
    """

    unit: str
    user: str
    writable: tuple[Path, ...]
    readable: tuple[Path, ...] = ()
    groups: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()

    def run(self, runner: Runner, argv: Sequence[str | Path], *, timeout: float) -> Result:
        """Run `argv` to completion, stopping what a killed caller left first. Raise CommandError or DeadlineError."""
        self.stop(runner)
        try:
            return runner.run([*self._command("--wait", "--pipe"), *argv], timeout=timeout)
        except CommandError as error:
            failed = f"{argv[0]} failed: {error.output or error.message}"
            raise CommandError(failed, error.hint, returncode=error.returncode, output=error.output) from None
        finally:
            # A timeout only kills systemd-run; the service would keep running.
            self.stop(runner)

    def start(self, runner: Runner, argv: Sequence[str | Path], *, log: Path) -> None:
        """Start `argv` with its output in the new file `log`, and return at once. Raise CommandError."""
        self.stop(runner)
        output = (f"--property=StandardOutput=truncate:{log}", "--property=StandardError=inherit")
        runner.run([*self._command(*output), *argv], timeout=START_SECONDS)

    def runs(self, runner: Runner) -> bool:
        """Return whether the service is still running."""
        return systemd.is_active(runner, self.unit)

    def stop(self, runner: Runner) -> None:
        """Stop the service if it is running, also if another process started it."""
        # The unit does not exist once its process has exited, so any exit code is fine.
        runner.run(["systemctl", "stop", self.unit], timeout=STOP_SECONDS, ok=range(256))

    def _command(self, *options: str) -> list[str]:
        properties = [
            *PROPERTIES,
            *(f"BindPaths={path}" for path in self.writable),
            *(f"ReadWritePaths={path}" for path in self.writable),
            *(f"BindReadOnlyPaths={path}" for path in self.readable),
            *(f"SupplementaryGroups={group}" for group in self.groups),
            *self.properties,
        ]
        shape = ("--quiet", "--collect", "--service-type=exec", "--expand-environment=no", f"--unit={self.unit}")
        fenced = [f"--property={each}" for each in properties]
        return ["systemd-run", *shape, f"--uid={self.user}", *options, *fenced, "--"]
