"""A production machine is refused before anything is touched: a process or a connection would fail these tests too."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from ecs_appliance.core.errors import ExitCode, RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from lab.cli.test import run_tests
from lab.demo import Demonstration
from lab.nspawn import NspawnMachine
from lab.production import refuse_production
from lab.progress import PlainProgress


def install_release(paths: Paths) -> None:
    paths.appliance.parent.mkdir(parents=True)
    paths.appliance.symlink_to("/app/releases/0123abc")


def write_env(paths: Paths) -> None:
    paths.env_yml.parent.mkdir(parents=True)
    paths.env_yml.touch()


def activate_env(paths: Paths) -> None:
    paths.active_env.parent.mkdir(parents=True)
    paths.active_env.touch()


def demonstrate(paths: Paths) -> None:
    Demonstration("demo", PlainProgress(io.StringIO()), paths).run()


def boot(paths: Paths) -> None:
    NspawnMachine("demo", SystemRunner(), paths).start()


def run_all_tests(paths: Paths) -> None:
    run_tests([], paths, SystemRunner())


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def tree(root: Path) -> set[Path]:
    return set(root.rglob("*"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (install_release, "the appliance is installed: .*/app/appliance"),
        (write_env, "it has an environment: .*/app/env.yml"),
        (activate_env, "it has an environment: .*/run/active-env.yml"),
    ],
)
@pytest.mark.parametrize("work", [demonstrate, boot, run_all_tests])
def test_a_production_machine_is_refused_and_left_alone(
    paths: Paths, make: Callable[[Paths], None], reason: str, work: Callable[[Paths], None]
) -> None:
    make(paths)
    before = tree(paths.root)
    with pytest.raises(RefusedError, match=f"production machine \\({reason}\\)") as caught:
        work(paths)
    assert caught.value.exit_code is ExitCode.REFUSED
    assert "another Debian machine" in caught.value.hint
    assert tree(paths.root) == before


def test_any_other_machine_is_not_refused_nor_one_with_a_clone_where_the_appliance_will_be(paths: Paths) -> None:
    refuse_production(paths)
    paths.appliance.mkdir(parents=True)
    refuse_production(paths)


def test_what_a_demonstration_left_can_be_removed_from_a_production_machine(paths: Paths) -> None:
    install_release(paths)
    machine = NspawnMachine("demo", SystemRunner(), paths)
    machine.folder.path.mkdir(parents=True)
    machine.destroy()
    assert not machine.folder.path.exists()
