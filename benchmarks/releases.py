"""Compare two releases: the same commands in a demonstration of each on this host, in turns.

Create both first (`appliance demo --name NAME` in a checkout of each release), with the same documents. As root:
.venv/bin/python -m benchmarks.releases OLD NEW
Goal: at most 1.1 times the seconds of the old one.
"""

import sys
from collections.abc import Callable

from benchmarks.measure import LIMIT, Command, interleave, show
from ecs_appliance.core.runner import SystemRunner
from lab.nspawn import NspawnMachine
from lab.nspawn_guest import NspawnGuest

ROUNDS = {"converge": 9, "backup run": 7, "backup rehearse": 3}
DOCUMENTS = "docker exec ecs_ecs.web_1 /start run ./manage.py makedocs 200 --kilobytes 40"


def main() -> None:
    old, new = sys.argv[1:]
    guests = {name: NspawnMachine(name, SystemRunner()).guest for name in (old, new)}
    for guest in guests.values():
        guest.sh(f"{DOCUMENTS}; appliance converge; appliance backup run", timeout=LIMIT)
    for command, rounds in ROUNDS.items():
        print(f"\nappliance {command}, {rounds} rounds, interleaved; seconds")
        show(interleave({name: plan(guest, command) for name, guest in guests.items()}, rounds), beside=old)


def plan(guest: NspawnGuest, command: str) -> Callable[[int], Command]:
    """Return the command on this host that runs `appliance COMMAND` in the machine."""
    argv = guest.argv(["appliance", *command.split()])
    return lambda _: argv


if __name__ == "__main__":
    main()
