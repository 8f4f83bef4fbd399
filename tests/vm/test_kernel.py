"""Tests that need their own kernel: its hardening, and containment of an application that misbehaves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner
from lab.rootdisk import RootDisk
from lab.virtio_guest import VirtioGuest
from lab.vm import VirtualMachine

pytestmark = pytest.mark.timeout(900)

FILES = Path(__file__).parents[2] / "salt/states/hardening/files"
BOOT_SECONDS = 300
# Allocates memory until it is killed.
EATER = "held = []\nwhile True: held.append(bytearray(b'x' * (8 << 20)))\n"
# Stands for PostgreSQL: memory that is held and used continually.
DATABASE = (
    "import time\nheld = bytearray(b'x' * (%d << 20))\nwhile True: held[::4096] = held[::4096]; time.sleep(0.2)\n"
)
SPIN = "while True: pass\n"
CODE = ("scripts/docker-entrypoint.sh", "conf/nginx.conf", "env/bin/python")


@pytest.fixture(scope="module")
def guest(root_disk: RootDisk, runner: SystemRunner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtioGuest]:
    """Yield a machine with the hardening files active and the application's files as in its image."""
    folder = tmp_path_factory.mktemp("kernel")
    with VirtualMachine(folder, runner, drives=[root_disk.drive], kernel=root_disk.kernel()) as machine:
        guest = machine.guest
        guest.wait_ready(BOOT_SECONDS)
        guest.push("/etc/sysctl.d/60-appliance.conf", (FILES / "sysctl.conf").read_bytes())
        guest.push("/etc/modprobe.d/appliance.conf", (FILES / "modprobe.conf").read_bytes())
        guest.sh("systemctl restart systemd-sysctl")
        guest.push("/etc/apparmor.d/ecs-application", (FILES / "ecs-application").read_bytes())
        guest.sh("apparmor_parser --replace /etc/apparmor.d/ecs-application", timeout=120)
        guest.sh(
            "mkdir -p /app/ecs/scripts /app/ecs/conf /app/ecs/static/CACHE /app/env/bin /app/ecs-cache;"
            "echo true | tee /app/ecs/scripts/docker-entrypoint.sh /app/ecs/conf/nginx.conf /app/env/bin/python"
            " /app/supervisord-web.conf >/app/ecs/celerybeat.pid; chown -R 1000:1000 /app/ecs /app/env /app/ecs-cache"
            " /app/supervisord-web.conf; chown 1000:1000 /app"
        )
        yield guest


def test_every_setting_is_in_force(guest: VirtioGuest) -> None:
    lines = (FILES / "sysctl.conf").read_text().splitlines()
    settings = [line.lstrip("-").split(" = ") for line in lines if " = " in line and not line.startswith("#")]
    wanted = {name.replace(".", "/"): value for name, value in settings}
    assert len(wanted) > 30
    script = "\n".join(f"for file in /proc/sys/{name}; do echo {name} $(cat $file); done" for name in wanted)
    found = [line.split(" ", 1) for line in guest.sh(script).splitlines()]
    assert {name for name, _ in found} == set(wanted)
    assert [(name, value) for name, value in found if value != wanted[name]] == []


def test_nothing_was_said_of_settings_that_do_not_exist(guest: VirtioGuest) -> None:
    assert "Couldn't" not in guest.sh("journalctl --boot --unit=systemd-sysctl --output=cat --no-pager")


def test_protocols_that_nobody_speaks_are_not_loaded(guest: VirtioGuest) -> None:
    for name in ("dccp", "rds", "sctp", "tipc"):
        plan = guest.sh(f"modprobe --dry-run --verbose {name}").splitlines()
        assert plan[-1].strip() == "install /bin/false", name
        assert guest.sh(f"modprobe --quiet {name} || echo refused") == "refused\n", name


def start(guest: VirtioGuest, unit: str, script: str, *, where: str) -> None:
    guest.push(f"/run/{unit}.py", script.encode())
    guest.sh(f"systemd-run --quiet --unit={unit} --slice={where} python3 /run/{unit}.py", timeout=60)


def test_an_application_that_eats_all_memory_is_ended_and_its_neighbours_go_on(guest: VirtioGuest) -> None:
    memory = int(guest.sh("awk '/MemTotal/ {print $2}' /proc/meminfo")) // 1024
    start(guest, "database", DATABASE % (memory // 5), where="system.slice")
    before = guest.sh("systemctl show --property=MainPID database")
    start(guest, "eater", EATER, where="ecs.slice")
    waiting = "until systemctl show --property=Result eater | grep -q oom-kill; do sleep 0.5; done"
    guest.sh(f"timeout 120 sh -c '{waiting}'", timeout=150)
    assert guest.sh("systemctl show --property=MainPID database") == before
    most = int(guest.sh("cat /sys/fs/cgroup/ecs.slice/memory.peak 2>/dev/null || echo 0")) >> 20
    assert most <= memory * 0.61
    assert guest.sh("cat /sys/fs/cgroup/ecs.slice/memory.swap.max").strip() == "0"
    assert "oom_kill 0" not in guest.sh("cat /sys/fs/cgroup/ecs.slice/memory.events").splitlines()
    guest.sh("systemctl stop database; systemctl reset-failed")


def test_where_both_want_the_processor_the_machine_comes_first(guest: VirtioGuest) -> None:
    """Compete with a slice that has the weight of system.slice, whose own units would take part of its share."""
    assert guest.sh("cat /sys/fs/cgroup/system.slice/cpu.weight").strip() == "100"
    start(guest, "spin-site", SPIN, where="ecs.slice")
    start(guest, "spin-machine", SPIN, where="rival.slice")
    used = (
        "for unit in spin-site spin-machine; do taskset --pid --cpu-list 0 $(systemctl show --value --property=MainPID"
        " $unit) >/dev/null; done; use() { for slice in ecs.slice rival.slice; do"
        " grep -m1 usage_usec /sys/fs/cgroup/$slice/cpu.stat | cut -d' ' -f2; done; }; use; sleep 10; use"
    )
    site_0, machine_0, site_1, machine_1 = map(int, guest.sh(used, timeout=60).split())
    guest.sh("systemctl stop spin-site spin-machine")
    assert machine_1 - machine_0 > 1.5 * (site_1 - site_0)


def confined(guest: VirtioGuest, script: str) -> str:
    """Return the output of `script`, run as the application's account under the profile; "refused" on failure."""
    words = "setpriv --reuid=1000 --regid=1000 --clear-groups aa-exec --profile=ecs-application -- sh -c"
    return guest.sh(f"{words} '{script}' 2>/dev/null || echo refused", timeout=60).strip()


def test_it_is_confined(guest: VirtioGuest) -> None:
    assert confined(guest, "cat /proc/self/attr/current") == "ecs-application (enforce)"


@pytest.mark.parametrize(
    "script",
    [
        "echo evil >>/app/ecs/scripts/docker-entrypoint.sh",
        "rm /app/ecs/scripts/docker-entrypoint.sh",
        "mv /app/ecs/scripts /app/ecs/old",
        "mv /app/ecs /app/old",
        "chmod 777 /app/ecs/scripts",
        "echo evil >/app/ecs/scripts/new",
        "ln /app/ecs-cache/mine /app/ecs/scripts/linked",
        "echo evil >>/app/ecs/conf/nginx.conf",
        "echo evil >>/app/env/bin/python",
        "mv /app/env /app/old",
        "echo evil >>/app/supervisord-web.conf",
        "unshare --user --map-root-user true",
    ],
)
def test_what_root_runs_in_the_container_is_not_the_applications_to_change(guest: VirtioGuest, script: str) -> None:
    guest.sh("echo x >/app/ecs-cache/mine; chown 1000:1000 /app/ecs-cache/mine")
    assert confined(guest, f"{script} && echo done") == "refused"


@pytest.mark.parametrize(
    "script",
    [
        "echo css >/app/ecs/static/CACHE/a.css",
        "echo 1 >/app/ecs/celerybeat.pid",
        "mkdir -p /app/ecs-undeliverable/new && echo mail >/app/ecs-undeliverable/new/1",
        "echo 1 >/app/uwsgi.pid",
        "echo pdf >/app/ecs-cache/a.pdf && mv /app/ecs-cache/a.pdf /app/ecs-cache/b.pdf",
        'python3 -c "import multiprocessing as m, tempfile; tempfile.TemporaryFile(); m.Lock()"',
        "sleep 60 & kill $!",
    ],
)
def test_what_the_application_writes_it_still_can(guest: VirtioGuest, script: str) -> None:
    assert confined(guest, f"{script} && echo done").endswith("done")


def test_the_machine_ends_what_is_confined(guest: VirtioGuest) -> None:
    """Like docker: an unconfined process sends a signal."""
    confining = "setpriv --reuid=1000 --regid=1000 --clear-groups aa-exec --profile=ecs-application --"
    guest.sh(f"systemd-run --quiet --unit=held --remain-after-exit {confining} sleep 600", timeout=60)
    pid = "$(systemctl show --value --property=MainPID held)"
    named = f"timeout 60 sh -c 'until grep -q ecs-application /proc/{pid}/attr/current; do sleep 0.5; done'"
    guest.sh(named, timeout=90)
    guest.sh(f"kill -TERM {pid}; timeout 60 sh -c 'while [ {pid} != 0 ]; do sleep 0.5; done'", timeout=90)
    assert guest.sh("systemctl show --value --property=ExecMainStatus held").strip() == "15"
    guest.sh("systemctl stop held")
