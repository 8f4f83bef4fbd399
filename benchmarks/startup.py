"""Compare how long common commands take with the minimum for a Python program.

Run it from the checkout: ./.venv/bin/python -m benchmarks.startup
Goals: `appliance --help` at most 0.25 s, `env create` at most 1.5 s.
"""

import tempfile
from pathlib import Path

from benchmarks.measure import interleave, show

ROUNDS = 9
CHECKOUT = Path(__file__).parents[1]


def main() -> None:
    launcher = CHECKOUT / "appliance"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = interleave(
            {
                "python -c pass": lambda _: [CHECKOUT / ".venv/bin/python", "-c", "pass"],
                "appliance --help": lambda _: [launcher, "--help"],
                "appliance env create": lambda n: [launcher, "env", "create", "ecs.example.org", folder / f"{n}.yml"],
            },
            ROUNDS,
        )
    print(f"{ROUNDS} rounds, interleaved; seconds")
    show(seconds, beside="python -c pass")


if __name__ == "__main__":
    main()
