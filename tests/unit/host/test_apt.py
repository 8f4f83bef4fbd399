"""Debian's package timers and the appliance take turns."""

import fcntl
from pathlib import Path
from threading import Timer

import pytest

from ecs_appliance.core.errors import BusyError
from ecs_appliance.core.paths import Paths
from ecs_appliance.host import apt
from tests.fakes import Answer, AnsweringRunner


def test_updates_wait_for_the_timers_turn_to_end(tmp_path: Path) -> None:
    lock = tmp_path / "var/lib/apt/daily_lock"
    lock.parent.mkdir(parents=True)
    held = lock.open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    over: list[bool] = []

    def let_go() -> None:
        over.append(True)
        held.close()

    def answer(words: list[str]) -> Answer:
        return 0 if over else 1, "", ""

    timer = Timer(0.5, let_go)
    timer.start()
    runner = AnsweringRunner(answer)
    apt.install_security_updates(Paths(tmp_path), runner)
    timer.join()
    assert runner.asked == [["apt-get", "update", "-qq"], ["unattended-upgrade"]]


def test_it_is_our_turn_until_the_last_package_is_installed(tmp_path: Path) -> None:
    paths = Paths(tmp_path)

    def answer(words: list[str]) -> Answer:
        with paths.at(apt.DAILY_LOCK).open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return 0, "", ""

    apt.install_security_updates(paths, AnsweringRunner(answer))
    apt.update_lists(paths, AnsweringRunner(answer))


def test_whoever_holds_it_too_long_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "SECONDS", 0.1)
    paths = Paths(tmp_path)
    paths.at(apt.DAILY_LOCK).parent.mkdir(parents=True)
    with paths.at(apt.DAILY_LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="update Debian packages"):
            apt.update_lists(paths, AnsweringRunner(lambda _: (0, "", "")))
