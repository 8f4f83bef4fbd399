"""A virtual machine boots, runs commands, keeps data on persistent drives only, and leaves nothing behind."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from ecs_appliance.core.errors import ApplianceError, DeadlineError, NotRunningError
from ecs_appliance.core.runner import CommandError, SystemRunner
from lab.qemu import Drive
from lab.rootdisk import RootDisk
from lab.vm import VirtualMachine

pytestmark = pytest.mark.timeout(900)

Seen = TypeVar("Seen")
MIB = 1 << 20
KEPT, LOST = "/dev/vdb", "/dev/vdc"
# A machine with nothing to boot waits forever, and so does the process that started it.
ABANDONED = """
import signal
import sys
from pathlib import Path
from ecs_appliance.core.runner import SystemRunner
from lab.qemu import Drive
from lab.vm import VirtualMachine

# A shell's background jobs are deaf to it, and so are their children.
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = Path(sys.argv[1])
VirtualMachine(folder, SystemRunner(), drives=[Drive(folder / "empty.img")]).start()
"""


def empty_drive(file: Path) -> Path:
    with file.open("wb") as image:
        image.truncate(MIB)
    return file


@pytest.fixture(scope="module")
def machine(
    root_disk: RootDisk, runner: SystemRunner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VirtualMachine]:
    """Yield a machine with two empty drives, usable long before its boot has finished."""
    folder = tmp_path_factory.mktemp("machine")
    kept, lost = (empty_drive(folder / name) for name in ("kept.img", "lost, perhaps.img"))
    drives = [root_disk.drive, Drive(kept, kept=True), Drive(lost)]
    with VirtualMachine(folder, runner, drives=drives, kernel=root_disk.kernel()) as booted:
        yield booted


def test_commands_pass_input_output_and_exit_codes_through(machine: VirtualMachine) -> None:
    guest = machine.guest
    assert guest.run(["sh", "-c", "exit 7"], timeout=20, ok=(7,)).returncode == 7
    assert guest.run(["tr", "a-z", "A-Z"], data="über", timeout=20).stdout == "üBER"
    both = guest.run(["sh", "-c", "echo out; echo err >&2; pwd; id -un"], timeout=20)
    assert (both.stdout, both.stderr) == ("out\n/root\nroot\n", "err\n")


def test_a_failed_command_is_told(machine: VirtualMachine) -> None:
    with pytest.raises(CommandError, match=r"^in the machine: ls /nowhere failed with exit code 2:\nls: cannot access"):
        machine.guest.run(["ls", "/nowhere"], timeout=20)


def test_after_a_command_that_does_not_end_the_next_one_is_heard(machine: VirtualMachine) -> None:
    with pytest.raises(DeadlineError, match="sleep 4711 did not finish within 1 s"):
        machine.guest.run(["sleep", "4711"], timeout=1)
    assert machine.guest.sh("pgrep -f '^sleep 4711' || echo ended") == "ended\n"


def test_files_travel_unharmed(machine: VirtualMachine) -> None:
    data = bytes(range(256)) * 400
    machine.guest.push("/root/folder/file", data, mode=0o600)
    assert machine.guest.pull("/root/folder/file") == data
    assert machine.guest.sh("stat -c %a /root/folder/file") == "600\n"


def test_it_has_a_kernel_of_its_own(machine: VirtualMachine) -> None:
    identity = "/proc/sys/kernel/random/boot_id"
    assert machine.guest.pull(identity).decode() != Path(identity).read_text()


def test_it_keeps_what_is_written_to_a_drive_where_it_shall(machine: VirtualMachine, root_disk: RootDisk) -> None:
    before = root_disk.drive.image.stat().st_mtime_ns
    machine.guest.sh(f"for drive in {KEPT} {LOST}; do echo written >$drive; done; touch /root/lost; sync")
    assert machine.stop()
    kept, lost = (drive.image.read_bytes() for drive in machine.drives[1:])
    assert (kept[:8], lost) == (b"written\n", bytes(MIB))
    assert root_disk.drive.image.stat().st_mtime_ns == before
    assert machine.pid is None
    with pytest.raises(ApplianceError, match="not started"):
        machine.guest.state()


def test_started_again_it_is_as_it_was_at_first_and_its_end_is_noticed(machine: VirtualMachine) -> None:
    machine.start()
    assert machine.guest.sh("test -e /root/lost || echo afresh") == "afresh\n"
    with pytest.raises(NotRunningError, match="has ended"):
        machine.guest.run(["sh", "-c", "echo o >/proc/sysrq-trigger; sleep 60"], timeout=60)
    wait_for(lambda: machine.pid is None)


def test_one_that_does_not_boot_is_told_with_what_it_said(tmp_path: Path, runner: SystemRunner) -> None:
    machine = VirtualMachine(tmp_path, runner, drives=[Drive(empty_drive(tmp_path / "empty.img"))])
    with pytest.raises(ApplianceError, match="did not answer within 2 s") as caught:
        machine.start(seconds=2)
    assert str(tmp_path / "console.log") in caught.value.hint
    assert machine.pid is None


def test_one_that_can_not_be_made_is_told_with_the_reason(tmp_path: Path, runner: SystemRunner) -> None:
    machine = VirtualMachine(tmp_path, runner, drives=[Drive(tmp_path / "nowhere.img")])
    with pytest.raises(ApplianceError, match=r"has ended:\n.*Could not open"):
        machine.start()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_whoever_started_it(tmp_path: Path, runner: SystemRunner, number: int) -> None:
    empty_drive(tmp_path / "empty.img")
    starter = runner.spawn(
        [sys.executable, "-c", ABANDONED, tmp_path],
        output=tmp_path / "starter.log",
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    pid = wait_for(lambda: running(starter.pid, "qemu-system-x86_64"))
    os.kill(starter.pid, number)
    starter.wait(20)
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def running(parent: int, program: str) -> int | None:
    """Return the process id of the child of `parent` that has become `program`, or None."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if program in Path(f"/proc/{child}/cmdline").read_text().split("\0")[0]:
            return int(child)
    return None


def wait_for(look: Callable[[], Seen], seconds: float = 20) -> Seen:
    """Return the first true result of `look`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return seen
