"""Run the linters as tests, so that their findings fail the build."""

import sys
from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner

CHECKOUT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--quiet"],
        ["ruff", "format", "--check", "--quiet"],
        ["mypy", "--no-error-summary"],
        ["lint-imports"],
    ],
    ids=["ruff", "format", "mypy", "imports"],
)
def test_the_code_is_clean(command: list[str]) -> None:
    program, *options = command
    result = SystemRunner().run([TOOLS / program, *options], cwd=CHECKOUT, timeout=280, ok=range(256))
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_launcher_is_plain_shell() -> None:
    SystemRunner().run(["sh", "-n", CHECKOUT / "appliance"], timeout=10)


def test_help_comes_at_once() -> None:
    """Half a second is twice what it takes; a heavy import at module level takes more."""
    run = SystemRunner().run
    run([CHECKOUT / "appliance", "--help"], timeout=600)
    assert min(run([CHECKOUT / "appliance", "--help"], timeout=10).seconds for _ in range(3)) < 0.5
