"""The launcher's environment is created once, and again when it would no longer work."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner

CHECKOUT = Path(__file__).parents[2]
SECONDS = 120
PROJECT = """\
[project]
name = "small"
version = "1"
requires-python = ">=3.11"
[tool.uv]
package = false
"""
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
MADE = "preparing the locked Python environment"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a small checkout with the launcher and uv, next to a folder `bin` with a python3 for it."""
    folder = tmp_path / "checkout"
    for entry, said in (("ecs_appliance", "product"), ("lab", "laboratory")):
        (folder / "src" / entry).mkdir(parents=True)
        (folder / "src" / entry / "__main__.py").write_text(f"import sys\nprint('{said}:', *sys.argv[1:])\n")
    (folder / "pyproject.toml").write_text(PROJECT)
    shutil.copy(CHECKOUT / "appliance", folder)
    shutil.copytree(CHECKOUT / "bootstrap", folder / "bootstrap")
    (folder / ".venv-uv").symlink_to(CHECKOUT / ".venv-uv")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(Path(sys.base_prefix) / "bin" / VERSION)
    run(folder, folder / ".venv-uv/bin/uv", "lock", "--offline", "--project", folder)
    return folder


def run(checkout: Path, *words: str | Path) -> tuple[str, str]:
    """Run `words` with the checkout's python3; return standard output and standard error."""
    path = f"{checkout.parent / 'bin'}:{os.environ['PATH']}"
    done = SystemRunner().run(words, timeout=SECONDS, env={"PATH": path})
    return done.stdout.strip(), done.stderr


def upgrade(checkout: Path) -> None:
    """Imitate a distribution upgrade: python3 is another file, and modules are searched elsewhere."""
    other = checkout.parent / "other"
    (other / "bin").mkdir(parents=True)
    shutil.copy(Path(sys.base_prefix) / "bin" / VERSION, other / "bin")
    (other / "lib").symlink_to(Path(sys.base_prefix) / "lib")
    (checkout.parent / "bin/python3").unlink()
    (checkout.parent / "bin/python3").symlink_to(other / "bin" / VERSION)
    (checkout / ".venv/lib" / VERSION).rename(checkout / ".venv/lib/python3.0")


def test_the_environment_is_made_once(checkout: Path) -> None:
    said, made = run(checkout, checkout / "appliance", "a b")
    assert said == "product: a b"
    assert MADE in made
    assert run(checkout, checkout / "appliance", "c") == ("product: c", "")


def test_only_its_commands_and_whoever_looks_for_commands_need_the_laboratory(checkout: Path) -> None:
    for word in ("demo", "", "--help", "-v", "--verbose"):
        assert run(checkout, checkout / "appliance", *word.split())[0] == f"laboratory: {word}".rstrip()
    for word in ("stage", "status", "--version"):
        assert run(checkout, checkout / "appliance", word)[0] == f"product: {word}"


def test_where_tests_are_refused_nothing_is_installed_for_them(checkout: Path) -> None:
    (checkout / "src/lab/production.py").write_text("import sys\nprint('refused')\nsys.exit(4)\n")
    command: list[str | Path] = [checkout / "appliance", "test", "unit"]
    path = f"{checkout.parent / 'bin'}:{os.environ['PATH']}"
    assert SystemRunner().run(command, timeout=SECONDS, env={"PATH": path}, ok=(4,)).stdout == "refused\n"
    assert not (checkout / ".venv-dev").exists()
    assert run(checkout, checkout / "appliance", "stage")[0] == "product: stage"


def test_another_python_gets_another_environment(checkout: Path) -> None:
    run(checkout, checkout / "appliance")
    upgrade(checkout)
    said, made = run(checkout, checkout / "appliance", "a")
    assert said == "product: a"
    assert MADE in made
    assert run(checkout, checkout / "appliance", "b") == ("product: b", "")


def test_a_python_that_is_gone_is_replaced(checkout: Path) -> None:
    run(checkout, checkout / "appliance")
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").symlink_to(checkout / "gone")
    assert run(checkout, checkout / "appliance", "a")[0] == "product: a"
