"""Processes of the moment that work on what cannot be trusted: another account, no network, no other data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.runner import CommandError, Result, Runner
from ecs_appliance.host import systemd

START_SECONDS, STOP_SECONDS = 60, 120
# Where data, sockets and secrets of the machine are: inside there is nothing but what is named.
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
    """The service `unit`, made for one process of the account `user` at a time.

    Of the machine's data it sees `writable` and `readable`, as far as the account and its `groups` may. `properties`
    are further ones of systemd's.
    """

    unit: str
    user: str
    writable: tuple[Path, ...]
    readable: tuple[Path, ...] = ()
    groups: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()

    def run(self, runner: Runner, argv: Sequence[str | Path], *, timeout: float) -> Result:
        """Run `argv` to its end, after what a killed caller left. Raises CommandError, DeadlineError."""
        self.stop(runner)
        try:
            return runner.run([*self._command("--wait", "--pipe"), *argv], timeout=timeout)
        except CommandError as error:
            failed = f"{argv[0]} failed: {error.output or error.message}"
            raise CommandError(failed, error.hint, returncode=error.returncode, output=error.output) from None
        finally:
            # Killing its client, as a timeout does, leaves it running.
            self.stop(runner)

    def start(self, runner: Runner, argv: Sequence[str | Path], *, log: Path) -> None:
        """Start `argv`, whose output goes to the new file `log`, and return at once. Raises CommandError."""
        self.stop(runner)
        output = (f"--property=StandardOutput=truncate:{log}", "--property=StandardError=inherit")
        runner.run([*self._command(*output), *argv], timeout=START_SECONDS)

    def runs(self, runner: Runner) -> bool:
        """Whether what was started goes on."""
        return systemd.is_active(runner, self.unit)

    def stop(self, runner: Runner) -> None:
        """End it, where it runs, whoever started it."""
        # There is no such unit once its process has ended.
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
