"""systemd: units and readiness."""

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
    """`active` now; `file_state` as `systemctl is-enabled` calls it."""

    active: bool
    file_state: str


def read_units(runner: Runner, units: Sequence[str]) -> dict[str, UnitState]:
    """The state of each of `units`, in one call; one that does not exist is neither active nor enabled."""
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
    """How a unit fares: `active` and `result` as `systemctl show` has ActiveState and Result."""

    active: str
    result: str

    @property
    def is_well(self) -> bool:
        """Whether it runs, or did its work to the end."""
        return self.active == "active" or (self.active == "inactive" and self.result == "success")


def read_conditions(runner: Runner, units: Iterable[str]) -> dict[str, Condition]:
    """Return how each of `units` fares, in one call."""
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
    """The systemctl verbs that bring a unit from `state` to `active` (None: as it is) and `file_state`."""
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
    """Do what `plan_unit` said."""
    for verb in verbs:
        runner.run(["systemctl", verb, unit], timeout=SERVICE_TIMEOUT)


def is_active(runner: Runner, unit: str) -> bool:
    """Whether `unit` is active."""
    return runner.run(["systemctl", "is-active", "--quiet", unit], timeout=QUICK, ok=range(256)).returncode == 0


def wait_settled(runner: Runner, units: Sequence[str], *, deadline: float) -> None:
    """Return once none of `units` is starting or stopping; raises DeadlineError after `deadline` seconds."""
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
    """Start `unit` and wait for it."""
    runner.run(["systemctl", "start", unit], timeout=SERVICE_TIMEOUT)


def start_in_background(runner: Runner, unit: str) -> None:
    """Ask for a start of `unit` and do not wait; raises CommandError where systemd will not."""
    runner.run(["systemctl", "start", "--no-block", unit], timeout=QUICK)


def stop(runner: Runner, *units: str) -> None:
    """Stop `units` and wait for them."""
    runner.run(["systemctl", "stop", *units], timeout=SERVICE_TIMEOUT)


def restart(runner: Runner, unit: str, *, timeout: float = SERVICE_TIMEOUT) -> None:
    """Restart `unit` and wait for it, at most `timeout` seconds."""
    runner.run(["systemctl", "restart", unit], timeout=timeout)


def retire(runner: Runner, unit: str) -> None:
    """Have `unit`, or all instances of a template, run no more, and nothing start it; its file is still there.

    A slice is left as it is, with all that runs in it, and so is the unit that this process is part of.
    """
    instances = unit.replace("@.", "@*.")
    if not unit.endswith(".slice") and f"/{unit}" not in OWN_CGROUP.read_text():
        stop(runner, instances)
    runner.run(["systemctl", "disable", unit], timeout=SERVICE_TIMEOUT)
    # One that failed would be shown as such until the next boot.
    runner.run(["systemctl", "reset-failed", instances], timeout=QUICK, ok=range(256))


def reload(runner: Runner, unit: str) -> None:
    """Reload `unit`."""
    runner.run(["systemctl", "reload", unit], timeout=SERVICE_TIMEOUT)


def unit_properties(runner: Runner, unit: str, *names: str) -> dict[str, str]:
    """Properties `names` of `unit`, as systemctl show prints them."""
    result = runner.run(["systemctl", "show", unit, f"--property={','.join(names)}"], timeout=QUICK)
    return dict(line.split("=", 1) for line in result.lines())


def journal_tail(runner: Runner, unit: str, lines: int = 15, *, own: bool = False) -> str:
    """The last `lines` messages of `unit` in this boot; its `own`, or systemd's about it too."""
    of = f"_SYSTEMD_UNIT={unit}" if own else f"--unit={unit}"
    argv = ["journalctl", of, "--boot", "--output", "cat", "--no-pager", "--lines", str(lines)]
    return runner.run(argv, timeout=QUICK).stdout.strip()


def notify(message: str) -> None:
    """Tell the service manager `message` (READY=1, STATUS=…) as sd_notify(3) does; nothing where none listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(message.encode(), address)
