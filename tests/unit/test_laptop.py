"""What a laptop needs for the configuration on paper: wheels for every system, nothing that has to be compiled."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

LOCK = tomllib.loads((Path(__file__).parents[2] / "uv.lock").read_text())
# Comes as source; only machines need it.
SALT = "salt"
ANY_PYTHON = ("-abi3-", "-py3-none-", "-py2.py3-none-")


def packages(name: str) -> list[dict[str, Any]]:
    """Return all versions of `name` in the lock: some differ by Python version."""
    return [package for package in LOCK["package"] if package["name"] == name]


def needed(name: str, found: set[str]) -> set[str]:
    """Add `name` and its dependencies, except Salt and its dependencies, to `found`; return it."""
    if name not in found and name != SALT:
        found.add(name)
        for package in packages(name):
            for dependency in package.get("dependencies", []):
                needed(dependency["name"], found)
    return found


def fits(wheel: str, system: str, python: str) -> bool:
    works = any(tag in wheel for tag in (f"-{python}-", *ANY_PYTHON))
    return wheel.endswith("-none-any.whl") or (works and system in wheel)


@pytest.mark.parametrize("python", ["cp311", "cp313"])
@pytest.mark.parametrize("system", ["manylinux", "macosx"])
def test_everything_but_salt_comes_as_wheels(system: str, python: str) -> None:
    names = needed("ecs-appliance", set()) - {"ecs-appliance"}
    assert {"segno", "zxing-cpp", "reportlab", "pypdfium2", "pycdlib"} < names
    for name in names:
        wheels = [wheel["url"].rpartition("/")[2] for package in packages(name) for wheel in package.get("wheels", [])]
        assert any(fits(wheel, system, python) for wheel in wheels), name


def test_salt_is_for_linux_alone() -> None:
    (project,) = packages("ecs-appliance")
    (salt,) = [dependency for dependency in project["dependencies"] if dependency["name"] == SALT]
    assert salt["marker"] == "sys_platform == 'linux'"
