"""A configuration to print."""

import pytest

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.create import render


@pytest.fixture(scope="session")
def env() -> bytes:
    """Return a new env.yml with real keys: about 15 KB."""
    return render("ecs.example.org", runner=SystemRunner()).encode()
