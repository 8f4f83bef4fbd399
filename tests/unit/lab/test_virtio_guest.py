"""The host's side of the shell in a virtual machine, with prepared answers."""

import base64
import socket
from collections.abc import Iterator

import pytest

from ecs_appliance.core.errors import DeadlineError, NotRunningError
from ecs_appliance.core.runner import CommandError
from lab import virtio_guest as shell
from lab.virtio_guest import VirtioGuest


@pytest.fixture
def ends() -> Iterator[tuple[VirtioGuest, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield VirtioGuest(ours), theirs


def answer(number: int, code: int, output: str = "", errors: str = "") -> bytes:
    texts = (base64.b64encode(text.encode()).decode() for text in (output, errors))
    return f"{number} {code} {' '.join(texts)}\n".encode()


def test_a_command_goes_there_and_its_result_comes_back(ends: tuple[VirtioGuest, socket.socket]) -> None:
    guest, there = ends
    there.sendall(answer(1, 3, "out\n", "err\n"))
    result = guest.run(["echo", "it's"], timeout=5, data="input", ok=(3,))
    assert (result.returncode, result.stdout, result.stderr) == (3, "out\n", "err\n")
    number, seconds, script, data = there.recv(9999).decode().rstrip("\n").split(" ")
    assert (number, seconds) == ("1", "5")
    assert base64.b64decode(script).decode() == "cd /root; exec echo 'it'\"'\"'s'\n"
    assert base64.b64decode(data) == b"input"


def test_answers_are_told_apart(ends: tuple[VirtioGuest, socket.socket]) -> None:
    guest, there = ends
    there.sendall(b"ready\n" + answer(1, 0, "one") + answer(2, 0) + answer(3, 0, "", "three"))
    guest.wait_open(1)
    results = [guest.run(["true"], timeout=1) for _ in range(3)]
    assert [(result.stdout, result.stderr) for result in results] == [("one", ""), ("", ""), ("", "three")]


def test_a_failure_is_told_with_what_the_command_said(ends: tuple[VirtioGuest, socket.socket]) -> None:
    guest, there = ends
    there.sendall(answer(1, 2, "much\n", "no such thing\n") + answer(2, 1))
    with pytest.raises(
        CommandError, match=r"^in the machine: a b c failed with exit code 2:\nno such thing$"
    ) as caught:
        guest.run(["a", "b", "c", "secret"], timeout=1)
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match=r"failed with exit code 1$"):
        guest.run(["a"], timeout=1)


def test_a_command_that_was_ended_is_late_and_one_that_says_so_itself_is_not(
    ends: tuple[VirtioGuest, socket.socket],
) -> None:
    guest, there = ends
    there.sendall(answer(1, 124) + answer(2, 124))
    with pytest.raises(DeadlineError, match="did not finish within 0 s"):
        guest.run(["sleep"], timeout=0)
    assert guest.run(["timeout"], timeout=100, ok=(124,)).returncode == 124


def test_a_machine_that_says_nothing_is_late(
    ends: tuple[VirtioGuest, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "GRACE_SECONDS", 0.05)
    guest, there = ends
    there.sendall(b"0 half an ans")
    with pytest.raises(DeadlineError, match="the virtual machine did not answer"):
        guest.run(["true"], timeout=0.05)


def test_a_late_answer_is_not_taken_for_the_next_commands(
    ends: tuple[VirtioGuest, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, there = ends
    with monkeypatch.context() as patch, pytest.raises(DeadlineError):
        patch.setattr(shell, "GRACE_SECONDS", 0.05)
        guest.run(["slow"], timeout=0)
    there.sendall(answer(1, 0, "late") + answer(2, 0, "in time"))
    assert guest.run(["true"], timeout=5).stdout == "in time"


def test_a_machine_that_has_ended_is_noticed(ends: tuple[VirtioGuest, socket.socket]) -> None:
    guest, there = ends
    there.close()
    with pytest.raises(NotRunningError, match="has ended"):
        guest.wait_open(5)
    with pytest.raises(NotRunningError, match="has ended"):
        guest.run(["true"], timeout=5)


def test_something_else_at_the_port_is_no_shell(ends: tuple[VirtioGuest, socket.socket]) -> None:
    guest, there = ends
    there.sendall(b"login:\n")
    with pytest.raises(NotRunningError, match="not its shell"):
        guest.wait_open(1)
