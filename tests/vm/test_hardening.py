"""What hardens the kernel, where it has one of its own: in a container most of it cannot be set."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.machine.rootdisk import RootDisk
from ecs_appliance.machine.shell import Shell
from ecs_appliance.machine.vm import VirtualMachine

pytestmark = pytest.mark.timeout(900)

FILES = Path(__file__).parents[2] / "salt/states/hardening/files"
BOOT_SECONDS = 300


@pytest.fixture(scope="module")
def guest(root_disk: RootDisk, runner: SystemRunner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The inside of a machine that has the files, and has loaded them as at boot."""
    folder = tmp_path_factory.mktemp("hardening")
    with VirtualMachine(folder, runner, drives=[root_disk.drive], kernel=root_disk.kernel()) as machine:
        guest = machine.guest
        guest.wait_ready(BOOT_SECONDS)
        guest.push("/etc/sysctl.d/60-appliance.conf", (FILES / "sysctl.conf").read_bytes())
        guest.push("/etc/modprobe.d/appliance.conf", (FILES / "modprobe.conf").read_bytes())
        guest.sh("systemctl restart systemd-sysctl")
        yield guest


def test_every_setting_is_in_force(guest: Shell) -> None:
    lines = (FILES / "sysctl.conf").read_text().splitlines()
    settings = [line.lstrip("-").split(" = ") for line in lines if " = " in line and not line.startswith("#")]
    wanted = {name.replace(".", "/"): value for name, value in settings}
    assert len(wanted) > 30
    script = "\n".join(f"for file in /proc/sys/{name}; do echo {name} $(cat $file); done" for name in wanted)
    found = [line.split(" ", 1) for line in guest.sh(script).splitlines()]
    assert {name for name, _ in found} == set(wanted)
    assert [(name, value) for name, value in found if value != wanted[name]] == []


def test_nothing_was_said_of_settings_that_do_not_exist(guest: Shell) -> None:
    assert "Couldn't" not in guest.sh("journalctl --boot --unit=systemd-sysctl --output=cat --no-pager")


def test_protocols_that_nobody_speaks_are_not_loaded(guest: Shell) -> None:
    for name in ("dccp", "rds", "sctp", "tipc"):
        plan = guest.sh(f"modprobe --dry-run --verbose {name}").splitlines()
        assert plan[-1].strip() == "install /bin/false", name
        assert guest.sh(f"modprobe --quiet {name} || echo refused") == "refused\n", name
