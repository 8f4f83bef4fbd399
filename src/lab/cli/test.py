"""`appliance test`: run the project's tests, tier by tier."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.core.errors import ApplianceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ecs_appliance.core.paths import Paths
    from ecs_appliance.core.runner import SystemRunner


class Tier(StrEnum):
    """The tiers of tests, in the order in which they run; the fastest is the first."""

    UNIT = "unit"
    INTEGRATION = "integration"
    MACHINE = "machine"
    VM = "vm"
    ENDURANCE = "endurance"


# A full run must end within an hour, so it skips tests marked as slow.
DEFAULT_TIERS = (Tier.UNIT, Tier.INTEGRATION, Tier.MACHINE, Tier.VM)
NOT_SLOW = ("-m", "not slow")
# Two files at a time: machine tests mostly wait, and a virtual machine uses one processor.
WORKERS = {Tier.UNIT: 2, Tier.INTEGRATION: 2, Tier.MACHINE: 2, Tier.VM: 2}
CHECKOUT = Path(__file__).parents[3]
# Variables of the caller's environment that are passed to the tests.
PASSED_VARIABLES = ("CI", "ECS_TEST_MACHINE")
EXAMPLE = "appliance test\nappliance test unit integration\nappliance test unit -k env -x"


def test(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TIER|OPTION",
            help="Tiers to run (unit, integration, machine, vm, endurance), then options of pytest. "
            "Without a tier, all tiers except endurance are run, without tests marked as slow.",
        ),
    ] = None,
) -> None:
    """Run the tests, after installing the packages they need.

    Only root can install packages, on Debian 12 or 13. The command is refused on a production machine.
    """
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.core.runner import SystemRunner

    run_tests(words or [], Paths(), SystemRunner())


def run_tests(words: "Sequence[str]", paths: "Paths", runner: "SystemRunner") -> None:
    """Install what the tests requested in `words` need, and run them.

    Raise RefusedError on a production machine, ApplianceError if tests failed.
    """
    from lab.production import refuse_production

    refuse_production(paths)
    tiers, options = split_words(words)
    _install_packages(tiers, runner)
    failed = [tier for tier in tiers if _run_tier(tier, options, runner) != 0]
    if failed:
        raise ApplianceError(f"tests failed: {', '.join(failed)}", f"run one tier alone: appliance test {failed[0]}")
    typer.echo(f"all tests passed: {', '.join(tiers)}")


def split_words(words: "Sequence[str]") -> "tuple[list[Tier], list[str]]":
    """Return the tiers at the beginning of `words` (without any, those of a full run), and the rest for pytest."""
    names = set(Tier)
    count = next((index for index, word in enumerate(words) if word not in names), len(words))
    if count == 0:
        return list(DEFAULT_TIERS), [*NOT_SLOW, *words]
    return [Tier(word) for word in words[:count]], list(words[count:])


def _install_packages(tiers: "Sequence[Tier]", runner: "SystemRunner") -> None:
    from lab import packages

    needs = {
        Tier.INTEGRATION: packages.FOR_INTEGRATION,
        Tier.MACHINE: packages.FOR_MACHINE_TESTS,
        Tier.VM: packages.FOR_VIRTUAL_MACHINES,
        Tier.ENDURANCE: packages.FOR_MACHINE_TESTS,
    }
    missing = sorted({package for tier in tiers for package in packages.missing_packages(needs.get(tier, {}))})
    if missing:
        typer.echo(f"installing {', '.join(missing)} …")
    packages.install_packages(missing, runner)


def _run_tier(tier: Tier, options: "Sequence[str]", runner: "SystemRunner") -> int:
    """Run the tests of `tier` on this terminal and return pytest's exit code; a tier without tests passes."""
    folder = CHECKOUT / "tests" / tier
    if not any(folder.rglob("test_*.py")):
        typer.echo(f"{tier}: this tier has no tests yet")
        return 0
    typer.echo(f"\n{tier}")
    env = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    # Show the slowest tests, since the duration of a full run is limited.
    pytest = [sys.executable, "-m", "pytest", f"--rootdir={CHECKOUT}", "--durations=25", "--durations-min=10"]
    return runner.interact([*pytest, folder, *plan_workers(tier, env), *options], env=env)


def plan_workers(tier: Tier, env: "Mapping[str, str]") -> list[str]:
    """Return pytest's options to run the files of `tier` in parallel; none if they share the machine named in `env`."""
    count = WORKERS.get(tier, 0) if "ECS_TEST_MACHINE" not in env else 0
    return [f"--numprocesses={count}", "--dist=loadfile"] if count else []
