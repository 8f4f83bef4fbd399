"""The ban on processes and sockets in unit tests works: a nested test run violates it."""

import sys
from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner

TESTS = Path(__file__).parents[1]
REACHING_OUT = {
    "process": "import os\n\ndef test_it():\n    os.system('true')\n",
    "runner": (
        "from ecs_appliance.core.runner import SystemRunner\n\n"
        "def test_it():\n    SystemRunner().run(['true'], timeout=5)\n"
    ),
    "socket": "import socket\n\ndef test_it():\n    socket.create_connection(('127.0.0.1', 9))\n",
    "swallowed": (
        "import contextlib, os\n\n"
        "def test_it():\n    with contextlib.suppress(RuntimeError):\n        os.system('true')\n"
    ),
}


@pytest.mark.parametrize("kind", REACHING_OUT)
def test_a_unit_test_that_reaches_out_fails(kind: str, tmp_path: Path) -> None:
    (tmp_path / "unit").mkdir()
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "unit" / "test_outside.py").write_text(REACHING_OUT[kind])
    source = {"PYTHONPATH": str(TESTS.parent / "src")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(tmp_path)]
    result = SystemRunner().run(command, cwd=tmp_path, env=source, timeout=60, ok=range(256))
    assert result.returncode == 1, result.stdout
    assert "OutsideWorldError" in result.stdout or "assert guard.caught == []" in result.stdout
