"""What a person waits for at the prompt, beside the least a Python program takes.

Run it from the checkout: ./.venv/bin/python benchmarks/startup.py
Goals: `appliance --help` at most 0.25 s, `env create` at most 1.5 s.
"""

import statistics
import tempfile
import time
from pathlib import Path

from ecs_appliance.core.runner import SystemRunner

ROUNDS = 9
LIMIT = 60.0
LAUNCHER = Path(__file__).parents[1] / "appliance"


def main() -> None:
    runner = SystemRunner()
    python = LAUNCHER.parent / ".venv/bin/python"
    commands: dict[str, list[str | Path]] = {
        "python -c pass": [python, "-c", "pass"],
        "appliance --help": [LAUNCHER, "--help"],
        "appliance env create": [LAUNCHER, "env", "create", "ecs.example.org"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            for name, command in commands.items():
                target = [Path(folder) / f"{number}.yml"] if "create" in name else []
                began = time.monotonic()
                runner.run([*command, *target], timeout=LIMIT)
                seconds[name].append(time.monotonic() - began)
    bare = statistics.median(seconds["python -c pass"])
    print(f"{ROUNDS} rounds, interleaved; seconds")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:<22} median {median:5.2f}  ({min(times):.2f}–{max(times):.2f})  ratio {median / bare:5.1f}")


if __name__ == "__main__":
    main()
