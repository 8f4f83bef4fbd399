"""The guest of a virtual machine: commands go to a root shell in it through a virtio port.

systemd in the machine gets the shell's unit as a credential from the firmware, so the image needs nothing for this
except systemd 256.
"""

import base64
import shlex
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ecs_appliance.core.errors import DeadlineError, NotRunningError
from ecs_appliance.core.runner import BASE_ENVIRONMENT, CommandError, Result
from lab.guest import Guest

PORT = "ecs.shell"
READY = "ready"
# One line per request (number, seconds, script, input) and answer (number, exit code, output, errors). The shell kills
# a command that does not end in time, and continues.
LOOP = f"""\
port=/dev/virtio-ports/{PORT}
until [ -e $port ]; do sleep 0.2; done
exec 3<>$port
cd "$RUNTIME_DIRECTORY"
echo {READY} >&3
while read -r number seconds script data <&3; do
    echo "$script" | base64 -d >script
    echo "$data" | base64 -d >data
    code=0
    timeout --kill-after=2 "$seconds" sh script <data >output 2>errors 3>&- || code=$?
    echo "$number $code $(base64 -w0 output) $(base64 -w0 errors)" >&3
done
"""
UNIT = f"""\
[Unit]
Description=Shell for the host of this virtual machine
DefaultDependencies=no
[Service]
LoadCredential={PORT}
RuntimeDirectory={PORT}
RuntimeDirectoryMode=0700
Environment={" ".join(f"{name}={value}" for name, value in BASE_ENVIRONMENT.items())}
ExecStart=/bin/sh %d/{PORT}
"""
CREDENTIALS: Mapping[str, str] = {
    PORT: LOOP,
    f"systemd.extra-unit.{PORT}.service": UNIT,
    "systemd.unit-dropin.sysinit.target": f"[Unit]\nWants={PORT}.service\n",
}
# Exit codes of timeout(1) for a command that it terminated or had to kill.
TIMED_OUT = (124, 137)
GRACE_SECONDS = 30.0
CHUNK = 1 << 16


class VirtioGuest(Guest):
    """A virtual machine; `connection` is this host's end of its virtio port."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._requests = 0

    def wait_open(self, seconds: float) -> None:
        """Wait until the shell answers, early in the boot.

        Raise DeadlineError after `seconds`, NotRunningError if the machine has ended or something else answers.
        """
        if self._read_line(seconds) != READY:
            raise NotRunningError("the answer from the virtual machine is not its shell's")

    def run(
        self,
        words: Sequence[str | Path],
        *,
        timeout: float,
        data: str | bytes | None = None,
        ok: Sequence[int] = (0,),
    ) -> Result:
        """Run a command as Guest.run does. Raise NotRunningError if the machine has ended."""
        argv = tuple(map(str, words))
        given = data.encode() if isinstance(data, str) else data or b""
        script = f"cd /root; exec {shlex.join(argv)}\n"
        began = time.monotonic()
        self._requests += 1
        request = f"{self._requests} {timeout:g} {_encoded(script.encode())} {_encoded(given)}\n"
        with _translated_errors(GRACE_SECONDS):
            self._connection.settimeout(GRACE_SECONDS)
            self._connection.sendall(request.encode())
        code, output, errors = self._read_answer(timeout + GRACE_SECONDS)
        result = Result(argv, int(code), _decoded(output), _decoded(errors), time.monotonic() - began)
        _check(result, timeout, ok)
        return result

    def _read_answer(self, seconds: float) -> list[str]:
        """Return the answer to the last request; skip late answers to earlier ones."""
        deadline = time.monotonic() + seconds
        while True:
            number, *answer = self._read_line(deadline - time.monotonic()).split(" ")
            if number == str(self._requests):
                return answer

    def _read_line(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        with _translated_errors(seconds):
            while b"\n" not in self._received:
                self._connection.settimeout(max(deadline - time.monotonic(), 0.01))
                chunk = self._connection.recv(CHUNK)
                if not chunk:
                    raise ConnectionResetError
                self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()


@contextmanager
def _translated_errors(seconds: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise DeadlineError(f"the virtual machine did not answer within {seconds:.0f} s") from None
    except ConnectionError:
        raise NotRunningError("the virtual machine has ended") from None


def _check(result: Result, timeout: float, ok: Sequence[int]) -> None:
    name = " ".join(result.argv[:3])
    if result.returncode in ok:
        return
    if result.returncode in TIMED_OUT and result.seconds >= timeout:
        raise DeadlineError(f"in the machine: {name} did not finish within {timeout:g} s")
    output = (result.stderr or result.stdout).strip()
    raise CommandError(
        f"in the machine: {name} failed with exit code {result.returncode}" + (f":\n{output}" if output else ""),
        returncode=result.returncode,
        output=output,
    )


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode(errors="replace")
