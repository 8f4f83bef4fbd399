"""Run the operator's own scripts."""

import shutil
from pathlib import Path

import pytest

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.lifecycle.hooks import run_hooks


def put(paths: Paths, name: str, body: str, mode: int = 0o755) -> None:
    script = paths.hooks / "prepare-ecs.early" / name
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(mode)


def run(paths: Paths) -> list[str]:
    return run_hooks(paths, SystemRunner(), "prepare-ecs", "early")


def test_none_is_fine(tmp_path: Path) -> None:
    assert run(Paths(tmp_path)) == []


def test_they_run_in_the_order_of_their_names(tmp_path: Path) -> None:
    paths, seen = Paths(tmp_path), tmp_path / "seen"
    for name in ("20-b.sh", "10-a.sh", "30-c.txt"):
        put(paths, name, f"echo {name} >> {seen}")
    assert run(paths) == ["10-a.sh", "20-b.sh"]
    assert seen.read_text() == "10-a.sh\n20-b.sh\n"


def test_one_that_fails_stops_those_after_it(tmp_path: Path) -> None:
    paths, seen = Paths(tmp_path), tmp_path / "seen"
    put(paths, "10-bad.sh", "exit 9")
    put(paths, "20-next.sh", f"touch {seen}")
    with pytest.raises(ApplianceError, match=r"10-bad\.sh failed"):
        run(paths)
    assert not seen.exists()


def test_one_that_cannot_be_executed_is_an_error_not_skipped(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    put(paths, "10-x.sh", "true", mode=0o644)
    with pytest.raises(ApplianceError, match="not executable"):
        run(paths)


def test_one_that_another_account_can_change_is_not_run(tmp_path: Path) -> None:
    paths, seen = Paths(tmp_path), tmp_path / "seen"
    put(paths, "10-x.sh", f"touch {seen}")
    shutil.chown(paths.hooks / "prepare-ecs.early", "daemon")
    with pytest.raises(ApplianceError, match=r"accounts other than root can change .*prepare-ecs\.early") as caught:
        run(paths)
    assert "chown root:" in caught.value.hint
    shutil.chown(paths.hooks / "prepare-ecs.early", "root")
    (paths.hooks / "prepare-ecs.early" / "10-x.sh").chmod(0o775)
    with pytest.raises(ApplianceError, match="accounts other than root can change"):
        run(paths)
    assert not seen.exists()
