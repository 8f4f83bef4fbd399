"""A machine boots, runs commands, survives what a real one survives, and leaves nothing behind."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from ecs_appliance.core.errors import NotRunningError, RefusedError
from ecs_appliance.core.runner import CommandError, SystemRunner
from lab.nspawn import NspawnMachine

pytestmark = pytest.mark.timeout(300)

CAP_SYS_TIME = 25  # capabilities(7)


def traces(machine: NspawnMachine, runner: SystemRunner) -> dict[str, str]:
    """Return what a stopped machine could have left on this host, by kind."""
    name = machine.name
    groups = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd"))
    seen = {
        "processes": [
            line for line in runner.run(["ps", "-eo", "args"], timeout=10).lines() if f"machine={name}" in line
        ],
        "supervisors": [
            line for line in runner.run(["ps", "-eo", "args"], timeout=10).lines() if f"machines/{name}" in line
        ],
        "interfaces": [entry.name for entry in Path("/sys/class/net").iterdir() if name in entry.name],
        "mounts": [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"machines/{name}" in line],
        "tables": [line for line in runner.run(["nft", "list", "tables"], timeout=10).lines() if name in line],
        "groups": [str(root) for root in groups if (root / f"ecs-machine-{name}").exists()],
    }
    return {what: ", ".join(found) for what, found in seen.items() if found}


def test_it_boots_clean_and_is_its_own(machine: NspawnMachine) -> None:
    guest = machine.guest
    assert guest.state() == "running"
    assert guest.sh("hostname").strip() == machine.name
    assert guest.sh("systemctl list-units --failed --no-legend") == ""
    assert len(guest.sh("cat /etc/machine-id").strip()) == 32
    assert guest.sh("ls /etc/ssh/ssh_host_ed25519_key").strip()


def test_no_command_inside_may_set_the_clock(machine: NspawnMachine) -> None:
    """Checks capabilities instead of trying it: if it were allowed, a trial would set this host's clock."""
    sets = machine.guest.sh("grep -E '^Cap(Bnd|Eff|Prm|Inh|Amb)' /proc/self/status").split()[1::2]
    assert len(sets) == 5
    assert not any(int(capabilities, 16) & (1 << CAP_SYS_TIME) for capabilities in sets)


def test_it_reaches_the_package_archive(machine: NspawnMachine) -> None:
    assert "Reading package lists" in machine.guest.sh("apt-get update", timeout=120)


def test_commands_pass_input_output_and_exit_codes_through(machine: NspawnMachine) -> None:
    guest = machine.guest
    assert guest.run(["sh", "-c", "exit 7"], timeout=10, ok=(7,)).returncode == 7
    assert guest.run(["tr", "a-z", "A-Z"], data="über", timeout=10).stdout == "üBER"
    assert guest.run(["id", "-un"], user="daemon", cwd="/", timeout=10).stdout == "daemon\n"
    assert guest.run(["pwd"], cwd="/srv", timeout=10).stdout == "/srv\n"


def test_a_failed_command_is_told_as_it_is_known_inside(machine: NspawnMachine) -> None:
    with pytest.raises(CommandError, match=r"^in the machine: ls /nowhere failed with exit code 2:\nls: cannot access"):
        machine.guest.run(["ls", "/nowhere"], timeout=10)


def test_a_command_that_takes_too_long_ends_inside_too(machine: NspawnMachine) -> None:
    with pytest.raises(Exception, match="did not finish"):
        machine.guest.run(["sleep", "4711"], timeout=0.5)
    assert machine.guest.run(["pgrep", "-f", "sleep 4711"], timeout=10, ok=(1,)).stdout == ""


def test_files_travel_unharmed_and_links_stay_inside(machine: NspawnMachine) -> None:
    guest = machine.guest
    data = bytes(range(256)) * 1000
    guest.sh("ln -sfn /srv /link")
    guest.push("/link/folder/file", data, mode=0o600)
    assert guest.pull("/srv/folder/file") == data
    assert guest.sh("stat -c %a /srv/folder/file").strip() == "600"


def test_after_a_reboot_it_is_the_same_and_has_its_network(machine: NspawnMachine) -> None:
    before = machine.guest.sh("cat /etc/machine-id; touch /root/kept; cat /proc/sys/kernel/random/boot_id")
    assert machine.reboot() == "running"
    after = machine.guest.sh("cat /etc/machine-id; test -e /root/kept; cat /proc/sys/kernel/random/boot_id")
    assert before.splitlines()[0] == after.splitlines()[0]
    with socket.create_connection((str(machine.spec.network.address), 22), timeout=10) as connection:
        assert connection.recv(4) == b"SSH-"


def test_stopped_it_leaves_no_trace_and_starts_again(machine: NspawnMachine, runner: SystemRunner) -> None:
    machine.guest.sh("touch /root/kept")
    machine.stop()
    assert traces(machine, runner) == {}
    with pytest.raises(NotRunningError):
        machine.guest.state()
    machine.start()
    machine.guest.sh("test -e /root/kept")


def test_without_power_it_leaves_no_trace_and_starts_again(machine: NspawnMachine, runner: SystemRunner) -> None:
    machine.kill()
    assert traces(machine, runner) == {}
    machine.start()
    assert machine.guest.state() == "running"


def test_switched_off_from_the_inside_it_leaves_no_trace(machine: NspawnMachine, runner: SystemRunner) -> None:
    machine.guest.run(["systemctl", "poweroff"], timeout=20, ok=range(-64, 256))
    deadline = time.monotonic() + 30
    while machine.running and time.monotonic() < deadline:
        time.sleep(0.1)
    machine.stop()
    assert traces(machine, runner) == {}


@pytest.mark.parametrize("victims", ["supervisor", "nspawn", "supervisor nspawn"])
def test_where_processes_of_it_were_killed_it_can_still_be_ended(
    machine: NspawnMachine, runner: SystemRunner, victims: str
) -> None:
    for victim in victims.split():
        getattr(machine.folder.processes(), victim).send(signal.SIGKILL)
    time.sleep(1)
    machine.stop()
    assert traces(machine, runner) == {}
    machine.start()
    assert machine.guest.state() == "running"


def test_a_copy_has_the_content_and_an_identity_of_its_own(machine: NspawnMachine, runner: SystemRunner) -> None:
    identity = "hostname; hostname -I; cat /etc/machine-id; cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub"
    first = machine.guest.sh(identity).split()
    machine.guest.sh("echo kept >/srv/file; chown daemon /srv/file; ln /srv/file /srv/link")
    other = NspawnMachine(f"ic-{os.getpid()}", runner)
    try:
        with pytest.raises(RefusedError, match="is running"):
            other.copy(machine)
        assert not other.exists
        machine.stop()
        other.copy(machine)
        other.start()
        machine.start()
        assert not set(other.guest.sh(identity).split()) & set(first)
        assert other.guest.sh("cat /srv/link; stat --format='%U %h' /srv/file").split() == ["kept", "daemon", "2"]
    finally:
        other.destroy()
    assert traces(other, runner) == {}


def test_two_machines_do_not_meet_and_one_destroyed_leaves_no_trace(
    machine: NspawnMachine, base: Path, runner: SystemRunner
) -> None:
    other = NspawnMachine(f"iu-{os.getpid()}", runner)
    try:
        other.create(base)
        other.start()
        assert other.spec.subnet != machine.spec.subnet
        assert other.guest.state() == "running"
    finally:
        other.destroy()
    assert traces(other, runner) == {}
    assert not other.folder.path.exists()
    assert not other.folder.lock.exists()
    other.destroy()
    assert machine.guest.state() == "running"
