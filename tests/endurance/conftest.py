"""The demonstration of the machine tests; the number of interruptions. Takes an hour, so a full run excludes it."""

from pathlib import Path

import pytest

from tests.machine.conftest import demo

__all__ = ["demo"]

HERE = Path(__file__).parent
SECONDS = 4 * 3600


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--moments", type=int, default=30, help="how often each kind of work is cut off")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS, func_only=True))


@pytest.fixture
def moments(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--moments"))
