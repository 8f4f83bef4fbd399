"""systemd: query and control units, read the journal, send notifications."""

import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import DeadlineError
from ecs_appliance.core.runner import Runner

QUICK = 30
SERVICE_TIMEOUT = 300
SETTLE_POLL_SECONDS = 2.0
OWN_CGROUP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class UnitState:
    """Whether a unit is `active`, and its `file_state` as `systemctl is-enabled` prints it."""

    active: bool
    file_state: str


def read_units(runner: Runner, units: Sequence[str]) -> dict[str, UnitState]:
    """Return the state of each of `units`, in one call; a unit that does not exist is neither active nor enabled."""
    argv = ["systemctl", "show", *units, "--property=ActiveState,UnitFileState,LoadState"]
    answers = runner.run(argv, timeout=QUICK).stdout.strip().split("\n\n")
    return {unit: _state(answer) for unit, answer in zip(units, answers, strict=True)}


def _state(answer: str) -> UnitState:
    properties = dict(line.split("=", 1) for line in answer.splitlines())
    masked = properties["LoadState"] == "masked"
    return UnitState(
        active=properties["ActiveState"] in ("active", "activating", "reloading"),
        file_state="masked" if masked else properties["UnitFileState"],
    )


@dataclass(frozen=True)
class Condition:
    """A unit's ActiveState and Result as printed by `systemctl show`."""

    active: str
    result: str

    @property
    def is_well(self) -> bool:
        """Return whether it is running or has finished successfully."""
        return self.active == "active" or (self.active == "inactive" and self.result == "success")


def read_conditions(runner: Runner, units: Iterable[str]) -> dict[str, Condition]:
    """Return the condition of each of `units`, in one call."""
    names = list(units)
    if not names:
        return {}
    argv = ["systemctl", "show", *names, "--property=ActiveState,Result"]
    answers = runner.run(argv, timeout=QUICK).stdout.strip().split("\n\n")
    found = [dict(line.split("=", 1) for line in answer.splitlines()) for answer in answers]
    return {
        name: Condition(each["ActiveState"], each.get("Result", "success"))
        for name, each in zip(names, found, strict=True)
    }


def failed_units(runner: Runner) -> set[str]:
    """Return the units that have failed."""
    argv = ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full"]
    return {line.split()[0] for line in runner.run(argv, timeout=QUICK).lines()}


def plan_unit(state: UnitState, *, active: bool | None, file_state: str) -> tuple[str, ...]:
    """Return the systemctl verbs that change a unit from `state` to `active` (None: keep) and `file_state`."""
    verbs = []
    if active is False and state.active:
        verbs.append("stop")
    if file_state == "masked" and state.file_state != "masked":
        verbs.append("mask")
    if file_state == "enabled" and state.file_state == "masked":
        verbs.append("unmask")
    if file_state == "enabled" and state.file_state not in ("enabled", "static"):
        verbs.append("enable")
    if active and not state.active:
        verbs.append("start")
    return tuple(verbs)


def apply_unit(runner: Runner, unit: str, verbs: Sequence[str]) -> None:
    """Apply the `verbs` from `plan_unit` to `unit`."""
    for verb in verbs:
        runner.run(["systemctl", verb, unit], timeout=SERVICE_TIMEOUT)


def is_active(runner: Runner, unit: str) -> bool:
    """Return whether `unit` is active."""
    return runner.run(["systemctl", "is-active", "--quiet", unit], timeout=QUICK, ok=range(256)).returncode == 0


def wait_settled(runner: Runner, units: Sequence[str], *, deadline: float) -> None:
    """Return once none of `units` is starting or stopping. Raise DeadlineError after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        states = {unit: unit_properties(runner, unit, "ActiveState").get("ActiveState") for unit in units}
        moving = [unit for unit, state in states.items() if state in ("activating", "deactivating")]
        if not moving:
            return
        if time.monotonic() > end:
            raise DeadlineError(
                f"{', '.join(moving)} did not settle within {deadline:g} s", f"systemctl status {moving[0]}"
            )
        time.sleep(SETTLE_POLL_SECONDS)


def start(runner: Runner, unit: str) -> None:
    """Start `unit` and wait until it has started."""
    runner.run(["systemctl", "start", unit], timeout=SERVICE_TIMEOUT)


def start_in_background(runner: Runner, unit: str) -> None:
    """Request a start of `unit` without waiting. Raise CommandError if systemd refuses."""
    runner.run(["systemctl", "start", "--no-block", unit], timeout=QUICK)


def stop(runner: Runner, *units: str) -> None:
    """Stop `units` and wait until they have stopped."""
    runner.run(["systemctl", "stop", *units], timeout=SERVICE_TIMEOUT)


def restart(runner: Runner, unit: str, *, timeout: float = SERVICE_TIMEOUT) -> None:
    """Restart `unit` and wait until it has started, at most `timeout` seconds."""
    runner.run(["systemctl", "restart", unit], timeout=timeout)


def retire(runner: Runner, unit: str) -> None:
    """Stop and disable `unit`, or all instances of a template; its file must still exist.

    Do not stop a slice, which would stop everything in it, nor the unit that this process belongs to.
    """
    instances = unit.replace("@.", "@*.")
    if not unit.endswith(".slice") and f"/{unit}" not in OWN_CGROUP.read_text():
        stop(runner, instances)
    runner.run(["systemctl", "disable", unit], timeout=SERVICE_TIMEOUT)
    # Otherwise a failed unit would be listed as such until the next boot.
    runner.run(["systemctl", "reset-failed", instances], timeout=QUICK, ok=range(256))


def reload(runner: Runner, unit: str) -> None:
    """Reload `unit`."""
    runner.run(["systemctl", "reload", unit], timeout=SERVICE_TIMEOUT)


def unit_properties(runner: Runner, unit: str, *names: str) -> dict[str, str]:
    """Return the properties `names` of `unit` as printed by `systemctl show`."""
    result = runner.run(["systemctl", "show", unit, f"--property={','.join(names)}"], timeout=QUICK)
    return dict(line.split("=", 1) for line in result.lines())


def journal_tail(runner: Runner, unit: str, lines: int = 15, *, own: bool = False) -> str:
    """Return the last `lines` messages of `unit` since boot; with `own` without systemd's messages about it."""
    of = f"_SYSTEMD_UNIT={unit}" if own else f"--unit={unit}"
    argv = ["journalctl", of, "--boot", "--output", "cat", "--no-pager", "--lines", str(lines)]
    return runner.run(argv, timeout=QUICK).stdout.strip()


def notify(message: str) -> None:
    """Send `message` (READY=1, STATUS=…) to the service manager like sd_notify(3); do nothing if there is none."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(message.encode(), address)
