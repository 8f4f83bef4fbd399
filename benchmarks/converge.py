"""Compare a converge without changes with a bare salt-call over as many states without changes.

Run it on an appliance, as root: cd /app/appliance; .venv/bin/python -m benchmarks.converge
Goal: at most 3 s, and at most 1.5 times the bare salt-call.
"""

import json
import tempfile
from pathlib import Path

from benchmarks.measure import LIMIT, interleave, show
from ecs_appliance.core.runner import SystemRunner

ROUNDS = 9
SALT_CALL = "/app/appliance/.venv/bin/salt-call"
APPLIANCE = "/app/appliance/appliance"


def main() -> None:
    runner = SystemRunner()
    states = json.loads(runner.run([APPLIANCE, "converge", "--json"], timeout=LIMIT).stdout)["states"]
    with tempfile.TemporaryDirectory() as name:
        bare = bare_salt_call(Path(name), states)
        runner.run(bare, timeout=LIMIT)  # creates its files, so that the rounds change nothing
        seconds = interleave(
            {
                "appliance converge": lambda _: [APPLIANCE, "converge"],
                "salt-call highstate": lambda _: [SALT_CALL, "state.highstate", "pillar={appliance: {enabled: true}}"],
                "bare salt-call": lambda _: bare,
            },
            ROUNDS,
        )
    print(f"{states} states, {ROUNDS} rounds, interleaved; seconds")
    show(seconds, beside="bare salt-call")


def bare_salt_call(folder: Path, states: int) -> list[str]:
    """Return a salt-call with its own configuration and `states` states that each manage a small file."""
    (folder / "minion").write_text(f"file_client: local\nlog_file: /dev/null\nfile_roots: {{base: [{folder}]}}\n")
    state = "{path}:\n  file.managed:\n    - contents: x\n    - makedirs: true\n"
    (folder / "bench.sls").write_text("".join(state.format(path=folder / "made" / str(n)) for n in range(states)))
    return [SALT_CALL, f"--config-dir={folder}", "state.sls", "bench"]


if __name__ == "__main__":
    main()
