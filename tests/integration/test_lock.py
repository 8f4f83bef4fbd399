"""The Python environment, which root creates and runs: all of it and of its build tools is pinned by hash."""

import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ecs_appliance.core.runner import CommandError, SystemRunner

CHECKOUT = Path(__file__).parents[2]
UV = CHECKOUT / ".venv-uv/bin/uv"
BUILT = {"salt"}
SECONDS = 120


@pytest.fixture(scope="module")
def locked() -> list[dict[str, Any]]:
    """Return every package in uv.lock except this project."""
    packages: list[dict[str, Any]] = tomllib.loads((CHECKOUT / "uv.lock").read_text())["package"]
    return [package for package in packages if "registry" in package["source"]]


def test_every_file_has_a_hash(locked: list[dict[str, Any]]) -> None:
    files = [file for package in locked for file in [*package.get("wheels", ()), package.get("sdist", {"hash": "-"})]]
    assert all(re.fullmatch(r"-|sha256:[0-9a-f]{64}", file["hash"]) for file in files)


def test_only_salt_is_built(locked: list[dict[str, Any]]) -> None:
    assert {package["name"] for package in locked if not package.get("wheels")} == BUILT


def test_what_builds_salt_is_locked_and_used(locked: list[dict[str, Any]]) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert set(project["tool"]["uv"]["no-build-isolation-package"]) == BUILT
    assert "build" in project["tool"]["uv"]["default-groups"]
    names = {re.split(r"[^a-z-]", line)[0] for line in project["dependency-groups"]["build"]}
    assert names == {"importlib-metadata", "looseversion", "packaging", "setuptools", "wheel"}
    assert names <= {package["name"] for package in locked}


def test_a_build_requirement_with_another_hash_is_refused(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(CHECKOUT / name, tmp_path)
    lock = (CHECKOUT / "uv.lock").read_text()
    head, name, rest = lock.partition('\nname = "wheel"\n')
    rest = re.sub(r'(wheels = \[\n[^\]]*hash = "sha256:)[0-9a-f]{64}', rf"\g<1>{'0' * 64}", rest, count=1)
    (tmp_path / "uv.lock").write_text(head + name + rest)
    command: list[str | Path] = [
        UV,
        "sync",
        "--frozen",
        "--project",
        tmp_path,
        "--python",
        sys.executable,
        "--only-group",
        "build",
    ]
    settings = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "1"}
    with pytest.raises(CommandError, match=r"(?s)[Hh]ash mismatch.*wheel|wheel.*[Hh]ash mismatch"):
        SystemRunner().run(command, timeout=SECONDS, env={**settings, "UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv")})
