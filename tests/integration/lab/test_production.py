"""The launcher's check for a production machine, before there is an environment of Python packages."""

import sys
from pathlib import Path

from ecs_appliance.core.runner import SystemRunner

SOURCE = Path(__file__).parents[3] / "src"


def test_whether_this_is_a_production_machine_is_known_without_any_package() -> None:
    command = [sys.executable, "-S", "-m", "lab.production"]
    assert SystemRunner().run(command, env={"PYTHONPATH": str(SOURCE)}, timeout=20).stderr == ""
