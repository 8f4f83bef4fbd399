"""Run commands in turns, so that other load on the machine affects all of them equally."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ecs_appliance.core.runner import SystemRunner

Command = Sequence[str | Path]
LIMIT = 300.0


def interleave(commands: Mapping[str, Callable[[int], Command]], rounds: int) -> dict[str, list[float]]:
    """Return the wall-clock seconds of each command by name; each is created from the number of its round."""
    runner = SystemRunner()
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, make in commands.items():
            command = make(number)
            began = time.monotonic()
            runner.run(command, timeout=LIMIT)
            seconds[name].append(time.monotonic() - began)
    return seconds


def show(seconds: Mapping[str, Sequence[float]], *, beside: str) -> None:
    """Print a table of medians, ranges, and ratios to the command `beside`."""
    base = statistics.median(seconds[beside])
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:<22} median {median:5.2f}  ({min(times):.2f}–{max(times):.2f})  ratio {median / base:5.2f}")
