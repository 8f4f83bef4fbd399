"""Measure how many of N random defects in the product's source the unit and integration tests detect.

Run it from a clean checkout: ./.venv-dev/bin/python -m benchmarks.mutants [N] [SEED]
cosmic-ray makes the changes (another comparison, `and` for `or`, a negated condition, True for False), one at a time,
in a clone, and at each place at most once. Tests of the changed package run first, then both tiers. It prints each
change that survived, and the rate. The goal is 90 of 100, which takes about two hours.
"""

import json
import random
import sqlite3
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ecs_appliance.core.runner import SystemRunner
from tests.machine.locked import provide

CHECKOUT = Path(__file__).parents[1]
NEEDS = Path(__file__).with_name("cosmic-ray.txt")
TIERS = ("unit", "integration")
PACKAGES = "src/ecs_appliance"
TEST_SECONDS = 1200.0
KINDS = ("ReplaceComparisonOperator", "ReplaceAndWithOr", "ReplaceOrWithAnd", "AddNot", "ReplaceTrue", "ReplaceFalse")
FOUND = "select module_path, start_pos_row, start_pos_col, operator_name, job_id from mutation_specs order by job_id"
RUNNER = SystemRunner()


def main(count: int, seed: int) -> None:
    """Make the clone, mutate it `count` times, and report."""
    with tempfile.TemporaryDirectory(prefix="appliance-mutants.", dir="/var/tmp") as folder:
        clone, session = Path(folder) / "clone", Path(folder) / "session.sqlite"
        RUNNER.run(["git", "clone", "--quiet", CHECKOUT, clone], timeout=60)
        RUNNER.run([clone / "appliance", "test", "unit", "-k", "test_file_rules"], timeout=600)
        tool = provide(NEEDS) / "cosmic-ray"
        RUNNER.run([tool, "init", _configure(clone), session], timeout=600, cwd=clone)
        choose(session, count, seed)
        RUNNER.run([tool, "exec", clone / "mutants.toml", session], timeout=count * TEST_SECONDS, cwd=clone)
        report(RUNNER.run([tool, "dump", session], timeout=120).stdout)


def _configure(clone: Path) -> Path:
    file = clone / "mutants.toml"
    command = f"{clone}/.venv-dev/bin/python -m benchmarks.mutants --test"
    file.write_text(
        f'[cosmic-ray]\nmodule-path = "{PACKAGES}"\ntimeout = {TEST_SECONDS}\nexcluded-modules = []\n'
        f'test-command = "{command}"\n[cosmic-ray.distributor]\nname = "local"\n'
    )
    return file


def choose(session: Path, count: int, seed: int) -> None:
    """Keep one change at each of `count` random places in the `session`."""
    dice, places = random.Random(seed), defaultdict(list)
    with sqlite3.connect(session) as database:
        for *place, operator, job in database.execute(FOUND).fetchall():
            name = operator.removeprefix("core/")
            if name.startswith(KINDS):
                places[*place, name.split("_")[0]].append(job)
        chosen = [(dice.choice(places[place]),) for place in dice.sample(sorted(places), count)]
        print(f"{count} of {len(places)} places", flush=True)
        database.execute("create temporary table chosen (job_id text)")
        database.executemany("insert into chosen values (?)", chosen)
        database.execute("delete from mutation_specs where job_id not in (select job_id from chosen)")
        database.execute("delete from work_items where job_id not in (select job_id from chosen)")


def test() -> int:
    """Return 0 if no test of the mutated checkout fails; those of the mutated package run first."""
    changed = RUNNER.run(["git", "diff", "--name-only", "--", PACKAGES], timeout=60).lines()
    near = [f"tests/{tier}/{Path(name).relative_to(PACKAGES).parts[0]}" for name in changed for tier in TIERS]
    near = [folder for folder in near if Path(folder).is_dir()]
    if near and (code := _pytest(near)) != 0:
        return code
    return _pytest([f"tests/{tier}" for tier in TIERS])


def _pytest(folders: Sequence[str]) -> int:
    options = ("--rootdir=.", "--quiet", "--exitfirst", "--numprocesses=2", "--dist=loadfile")
    done = RUNNER.run([sys.executable, "-m", "pytest", *options, *folders], timeout=TEST_SECONDS, ok=range(256))
    return done.returncode


def report(dump: str) -> None:
    """Print the survivors and the rate; each line of `dump` is a pair in JSON."""
    killed, survived = 0, []
    for line in dump.splitlines():
        item, result = json.loads(line)
        if result["test_outcome"] == "killed" or result["worker_outcome"] == "timeout":
            killed += 1
        else:
            (mutation,) = item["mutations"]
            survived.append(f"{mutation['module_path']}:{mutation['start_pos'][0]} {mutation['operator_name']}")
            print(survived[-1], result["diff"], sep="\n")
    print(f"{killed} of {killed + len(survived)} changes were noticed; not these:", *survived, sep="\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["--test"]:
        raise SystemExit(test())
    main(*(int(word) for word in [*sys.argv[1:], "100", "1"][:2]))
