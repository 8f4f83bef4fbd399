"""One base image for every machine of these tests, the one that the demonstration uses."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from lab.base import provide_base
from lab.caches import CACHE
from lab.nspawn import NspawnMachine


@pytest.fixture(scope="session")
def runner() -> SystemRunner:
    return SystemRunner()


@pytest.fixture(scope="session")
def base(runner: SystemRunner) -> Path:
    return provide_base(Paths().at(CACHE) / "base", runner)


@pytest.fixture(scope="session")
def shared(base: Path, runner: SystemRunner) -> Iterator[NspawnMachine]:
    """Yield the machine that most tests share."""
    machine = NspawnMachine(f"it-{os.getpid()}", runner)
    try:
        machine.create(base)
        yield machine
    finally:
        machine.destroy()


@pytest.fixture
def machine(shared: NspawnMachine) -> NspawnMachine:
    """Return a booted machine; a test may leave it stopped."""
    shared.start()
    return shared
