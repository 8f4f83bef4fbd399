import os
import signal
from pathlib import Path

import pytest

from lab.identity import ProcessIdentity, find_init, identify

BOOT = "0b5a5a0e-demo-boot"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text(f"{BOOT}\n")
    return tmp_path


def add_process(proc: Path, pid: int, *, started: int, state: str = "S", inside: str = "", name: str = "sleep") -> None:
    (proc / str(pid)).mkdir(exist_ok=True)
    fields = [state, "1", *["0"] * 17, str(started), "0", "0"]
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    (proc / str(pid) / "status").write_text(f"Name:\t{name}\nNSpid:\t{pid}{inside}\n")


def test_a_process_is_itself(proc: Path) -> None:
    add_process(proc, 42, started=1000)
    identity = identify(42, proc)
    assert identity == ProcessIdentity(42, 1000, BOOT)
    assert identity.alive(proc)


def test_a_name_with_parentheses_does_not_confuse(proc: Path) -> None:
    add_process(proc, 42, started=1000, name="odd) R 7 (name")
    assert identify(42, proc) == ProcessIdentity(42, 1000, BOOT)


def test_a_stranger_with_the_same_pid_is_somebody_else(proc: Path) -> None:
    add_process(proc, 42, started=2000)
    assert not ProcessIdentity(42, 1000, BOOT).alive(proc)


def test_after_a_reboot_of_the_host_nothing_noted_runs(proc: Path) -> None:
    add_process(proc, 42, started=1000)
    assert not ProcessIdentity(42, 1000, "an-earlier-boot").alive(proc)


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_zombie_does_not_run(proc: Path, state: str) -> None:
    add_process(proc, 42, started=1000, state=state)
    assert identify(42, proc) is None


def test_nobody_has_the_pid(proc: Path) -> None:
    assert identify(42, proc) is None


def test_a_signal_to_an_ended_process_reaches_nobody() -> None:
    ProcessIdentity(os.getpid(), 1, "an-earlier-boot").send(signal.SIGKILL)


def test_the_first_process_of_a_machine_is_found_among_the_children(proc: Path) -> None:
    add_process(proc, 42, started=1000)
    add_process(proc, 43, started=1001)
    add_process(proc, 44, started=1002, inside="\t1", name="(sd-namespace)")
    add_process(proc, 45, started=1003, inside="\t1", name="systemd")
    (proc / "42/task/42").mkdir(parents=True)
    (proc / "42/task/42/children").write_text("43 44 45 ")
    assert find_init(42, proc) == 45


def test_without_a_machine_there_is_no_first_process(proc: Path) -> None:
    add_process(proc, 42, started=1000)
    (proc / "42/task/42").mkdir(parents=True)
    (proc / "42/task/42/children").write_text("43 ")
    assert find_init(42, proc) is None
    assert find_init(99, proc) is None
