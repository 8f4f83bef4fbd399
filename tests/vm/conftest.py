"""Virtual machines for the tests of this tier; each has the commit that is checked out."""

from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner
from lab.rootdisk import RootDisk, provide_root_disk

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def runner() -> SystemRunner:
    return SystemRunner()


@pytest.fixture(scope="session")
def root_disk(runner: SystemRunner) -> RootDisk:
    return provide_root_disk(CHECKOUT, runner)
