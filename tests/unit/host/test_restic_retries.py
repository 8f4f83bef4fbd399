"""How long restic's own retries are waited for."""

import pytest

from ecs_appliance.core.runner import CommandError
from ecs_appliance.host.restic_retries import RetryBudget

REFUSED = 'Head "https://:***@host/config": dial tcp 192.0.2.1:443: connect: connection refused'
EXPIRED = 'Head "https://host/config": tls: failed to verify certificate: x509: certificate has expired'


class Clock:
    """A clock controlled by the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def failing(what: str, why: str = REFUSED) -> str:
    return f"{what} returned error, retrying after 1.695549216s: {why}"


def test_it_gives_up_when_one_operation_has_failed_for_too_long() -> None:
    clock = Clock()
    patience = RetryBudget(60, clock)
    for seconds in (0, 10, 59):
        clock.now = 1000.0 + seconds
        patience.read(failing("Save(<data/d64e54fe9a>)"))
    clock.now = 1061
    patience.read(failing("Save(<data/0000000000>)"))
    with pytest.raises(CommandError, match="connection refused"):
        patience.read(failing("Save(<data/d64e54fe9a>)"))


def test_what_succeeds_in_the_end_has_not_failed() -> None:
    clock = Clock()
    patience = RetryBudget(60, clock)
    patience.read(failing("Load(<data/d64e54fe9a>, 10, 20)"))
    clock.now += 50
    patience.read("Load(<data/d64e54fe9a>, 10, 20) operation successful after 3 retries")
    clock.now += 50
    patience.read(failing("Load(<data/d64e54fe9a>, 10, 20)"))
    patience.read('{"message_type": "status", "percent_done": 1}')


def test_what_no_waiting_mends_is_not_waited_for() -> None:
    with pytest.raises(CommandError, match="x509"):
        RetryBudget(60).read(failing("Stat(<config/>)", EXPIRED))


@pytest.mark.parametrize(
    "line",
    [
        "subprocess ssh: Timeout, server store.example.org not responding.",
        "subprocess ssh: Connection to store.example.org closed by remote host.",
        "subprocess ssh: client_loop: send disconnect: Broken pipe",
        "Save(<data/349d48606e>) failed: ssh command exited: exit status 255",
    ],
)
def test_an_ssh_that_ended_is_not_waited_for(line: str) -> None:
    with pytest.raises(CommandError, match="restic lost the connection"):
        RetryBudget(60).read(line)
    RetryBudget(60).read("subprocess ssh: Warning: Permanently added 'store.example.org' to the list of known hosts.")
