"""A converge that has nothing to do, beside a bare salt-call over as many states that have nothing to do.

Run it on an appliance, as root: /app/appliance/.venv/bin/python /app/appliance/benchmarks/converge.py
Goal: at most 3 s, and at most 1.5 times the bare salt-call.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

from ecs_appliance.core.runner import SystemRunner

ROUNDS = 7
SALT_CALL = "/app/appliance/.venv/bin/salt-call"
APPLIANCE = "/app/appliance/appliance"
LIMIT = 300.0


def main() -> None:
    runner = SystemRunner()
    states = json.loads(runner.run([APPLIANCE, "converge", "--json"], timeout=LIMIT).stdout)["states"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = {
            "appliance converge": [APPLIANCE, "converge"],
            "salt-call highstate": [SALT_CALL, "state.highstate", "pillar={'appliance': {'enabled': True}}"],
            "bare salt-call": bare_salt_call(folder, states),
        }
        runner.run(commands["bare salt-call"], timeout=LIMIT)  # makes its files, so that the rounds change nothing
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for label, command in commands.items():
                began = time.monotonic()
                runner.run(command, timeout=LIMIT)
                seconds[label].append(time.monotonic() - began)
    show(states, seconds)


def bare_salt_call(folder: Path, states: int) -> list[str]:
    """salt-call with a configuration of its own over `states` states that keep a small file each."""
    (folder / "minion").write_text(f"file_client: local\nlog_file: /dev/null\nfile_roots: {{base: [{folder}]}}\n")
    body = "".join(
        f"{folder}/made/{n}:\n  file.managed:\n    - contents: x\n    - makedirs: true\n" for n in range(states)
    )
    (folder / "bench.sls").write_text(body)
    return [SALT_CALL, f"--config-dir={folder}", "state.sls", "bench"]


def show(states: int, seconds: dict[str, list[float]]) -> None:
    """A table of medians, and of ratios to the bare salt-call."""
    bare = statistics.median(seconds["bare salt-call"])
    print(f"{states} states, {ROUNDS} rounds, interleaved; seconds")
    for label, times in seconds.items():
        median = statistics.median(times)
        print(f"{label:<22} median {median:5.2f}  ({min(times):.2f}–{max(times):.2f})  ratio {median / bare:4.2f}")


if __name__ == "__main__":
    main()
