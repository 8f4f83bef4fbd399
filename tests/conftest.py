"""What holds for every tier: unit tests start no process and open no connection."""

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
    """A unit test reached for a process or the network."""


class Guard:
    """An audit hook; Python offers no way to take one out again, so it is switched."""

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
    """Fail a unit test that reaches outside, even where the code under test swallowed the error."""
    if UNIT not in request.path.parents:
        yield
        return
    guard.caught.clear()
    guard.armed = True
    yield
    guard.armed = False
    assert guard.caught == []
