"""Failing disks and files, a full target, a stopped database: the backup reports them, and nothing is lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.machine.backups import BACKUP, WELL, alerts, target
from tests.machine.people import told

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until

__all__ = ["target"]


@contextmanager
def unreadable(demo: "Demo", file: str) -> Iterator[None]:
    """Make reading `file` an I/O error, as from a failing disk: it becomes a process's memory, read at address 0."""
    demo.sh("systemd-run --quiet --unit lender sleep infinity")
    pid = demo.sh("systemctl show --property=MainPID --value lender")
    demo.sh(f"touch {file}; mount --bind /proc/{pid}/mem {file}")
    try:
        assert "Input/output error" in demo.exec(["cat", file]).stderr
        yield
    finally:
        demo.sh(f"umount {file}; rm {file}; systemctl stop lender")


def test_a_document_that_cannot_be_read_is_named_and_the_others_are_kept(demo: "Demo", target: str) -> None:
    file = "/data/ecs-storage-vault/zz"
    with unreadable(demo, file):
        failed = demo.exec([*BACKUP, "run"])
        assert failed.returncode == 1
        assert f"lacks 1 files that could not be read: {file}" in failed.stderr
        assert "could not be read" in alerts(demo)
    made = told(demo, *BACKUP, "run", "--json")["backup"]
    # Everything readable is saved, even in the failed one.
    assert [one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]][-1] == made
    assert len(told(demo, *BACKUP, "list", "--json")["backups"]) == 2
    assert alerts(demo) == WELL


MOVER = """
import os, random
os.makedirs("/data/ecs-pgdump/moving", exist_ok=True)
while True:
    file = f"/data/ecs-pgdump/moving/{random.randrange(9)}"
    with open(file, "ab") as out:
        out.write(os.urandom(random.randrange(1, 900_000)))
    if os.path.getsize(file) > 3_000_000:
        os.unlink(file)
"""


def test_files_that_change_and_vanish_meanwhile_cost_nothing(demo: "Demo", target: str) -> None:
    """A file that is still being written belongs to the next backup; one that has vanished to none."""
    demo.machine.guest.push("/root/mover.py", MOVER)
    demo.sh("systemd-run --quiet --unit mover python3 /root/mover.py")
    try:
        for _ in range(4):
            told(demo, *BACKUP, "run", "--json")
    finally:
        demo.sh("systemctl stop mover; rm -rf /data/ecs-pgdump/moving /root/mover.py")
    demo.sh("appliance backup check --all")
    assert alerts(demo) == WELL


def test_a_target_that_becomes_full_half_way_loses_nothing(demo: "Demo", target: str, until: "Until") -> None:
    """Something else fills it after the check for free space."""
    demo.sh(f"mount -t tmpfs -o size=1600m tmpfs {target}")
    try:
        first = told(demo, *BACKUP, "run", "--json")["backup"]
        demo.sh("head -c 300M /dev/urandom > /data/ecs-pgdump/large")
        filling = f"until ls {target}/locks/* 2>/dev/null; do :; done; dd if=/dev/zero of={target}/of-others bs=1M"
        demo.sh(f'systemd-run --quiet --unit filler sh -c "{filling}"')
        failed = demo.exec([*BACKUP, "run"])
        assert failed.returncode == 1
        assert "no space left on device" in failed.stderr
        assert "message_type" not in failed.stderr
        assert "no space left on device" in alerts(demo)
        demo.sh(f"systemctl stop filler; systemctl reset-failed; rm {target}/of-others")
        second = told(demo, *BACKUP, "run", "--json")["backup"]
        assert [one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]] == [first, second]
        demo.sh("appliance backup check --all; rm /data/ecs-pgdump/large")
    finally:
        demo.sh("rm -f /data/ecs-pgdump/large")
        until(lambda: demo.exec(["umount", target]).returncode == 0, 20)


def test_a_database_that_is_stopped_half_way_costs_one_run(demo: "Demo", target: str, until: "Until") -> None:
    """During its dump, which a lock holds up."""
    told(demo, *BACKUP, "run", "--json")
    hold = "begin; lock table django_migrations; select pg_sleep(300)"
    demo.sh(f"systemd-run --quiet --unit holder sudo -u postgres psql --dbname=ecs --command='{hold}'")
    demo.sh("systemd-run --quiet --unit meanwhile appliance backup run --nightly")
    until(lambda: demo.exec(["pgrep", "--exact", "pg_dump"]).returncode == 0, 120)
    demo.sh("systemctl stop postgresql@17-main")
    try:
        demo.sh("while systemctl is-active --quiet meanwhile; do sleep 0.2; done", timeout=200)
        assert demo.sh("systemctl show --property=Result --value meanwhile") == "exit-code"
        assert "pg_dump" in alerts(demo)
    finally:
        demo.sh("systemctl start postgresql@17-main; systemctl reset-failed")
    told(demo, *BACKUP, "run", "--nightly", "--json")
    demo.sh("appliance backup check --all")
    assert alerts(demo) == WELL
