"""Common to all tiers: keep unit tests from starting processes and opening connections."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"
FORBIDDEN = (
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.system",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.sendto",
    "subprocess.Popen",
)


class OutsideWorldError(RuntimeError):
    """A unit test tried to start a process or to use the network."""


class Guard:
    """An audit hook; Python cannot remove one, so it is switched on and off."""

    def __init__(self) -> None:
        self.armed = False
        self.caught: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.armed and event in FORBIDDEN:
            self.caught.append(f"{event} {arguments[:2]}")
            raise OutsideWorldError(f"a unit test may not use {event}: move it to tests/integration")


guard = Guard()
sys.addaudithook(guard)


@pytest.fixture(autouse=True)
def inside_only(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a unit test that starts a process or opens a connection, even if the code under test hid the error."""
    if UNIT not in request.path.parents:
        yield
        return
    guard.caught.clear()
    guard.armed = True
    yield
    guard.armed = False
    assert guard.caught == []
