"""Backups of a running site: what is saved, which problems are found, what is refused, and what a kill leaves."""

import json
import random
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.machine.backups import (
    BACKUP,
    PASSWORD,
    REMEMBERED,
    WAIT_IDLE,
    WELL,
    alerts,
    has_ended,
    refused,
    restic,
    set_backup,
    target,
)
from tests.machine.people import told

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until

__all__ = ["target"]

KILLS = 3


def test_both_timers_wait_for_their_time(demo: "Demo") -> None:
    for name in ("appliance-backup", "appliance-backup-frequent"):
        # While its service runs, a timer has no next elapse.
        demo.sh(WAIT_IDLE, timeout=120)
        assert demo.sh(f"systemctl is-active {name}.timer") == "active"
        shown = demo.sh(f"systemctl show {name}.timer --property=NextElapseUSecRealtime,NextElapseUSecMonotonic")
        assert any(line.partition("=")[2] not in ("", "infinity") for line in shown.splitlines())


def test_the_units_back_up_dump_and_count(demo: "Demo", target: str) -> None:
    demo.sh("systemctl start appliance-backup", timeout=600)
    demo.sh("systemctl start appliance-backup-frequent", timeout=600)
    assert len(told(demo, *BACKUP, "list", "--json")["backups"]) == 2
    metrics = demo.sh("cat /var/lib/prometheus/node-exporter/appliance-backup.prom")
    for name in ("start_time", "success_time", "duration", "size", "data_size"):
        assert f"\nbackup_last_{name} " in f"\n{metrics}"
    demo.sh(
        f"rm -f /root/ecs.pgdump.gz; {' '.join(BACKUP)} fetch ecs-pgdump/ecs.pgdump.gz --output /root/ecs.pgdump.gz"
    )
    listing = demo.sh("gunzip -c /root/ecs.pgdump.gz | pg_restore --list; rm /root/ecs.pgdump.gz")
    assert "TABLE DATA public documents_document" in listing


def test_fetch_overwrites_nothing_and_says_what_is_not_there(demo: "Demo", target: str) -> None:
    told(demo, *BACKUP, "run", "--json")
    demo.sh("rm -f /root/fetched")
    refused(demo.exec([*BACKUP, "fetch", "ecs-ca/nothing", "/root/fetched"]), "has no file ecs-ca/nothing")
    refused(demo.exec([*BACKUP, "fetch", "ecs-ca/crl.pem", "/app/env.yml"]), "already exists")


def test_retention_keeps_what_is_younger_than_the_floor(demo: "Demo", target: str) -> None:
    set_backup(demo, password=PASSWORD, keep_last=1, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_floor_days=3)
    made = {told(demo, *BACKUP, "run", "--json")["backup"] for _ in range(3)}
    assert told(demo, *BACKUP, "prune", "--yes", "--json")["removed"] == []
    demo.sh(restic("backup --quiet --host old --time '2020-01-01 12:00:00' /etc/hostname"))
    assert len(told(demo, *BACKUP, "prune", "--yes", "--json")["removed"]) == 1
    assert made == {one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]}


# Flips bytes in each file named on standard input.
FLIP = """
import os, random, sys
for name in sys.stdin:
    with open(name.strip(), "r+b") as file:
        place = random.randrange(os.path.getsize(file.name))
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
"""


@pytest.mark.parametrize("flips", [1, 10, 100])
def test_a_flipped_byte_is_found(demo: "Demo", target: str, flips: int) -> None:
    told(demo, *BACKUP, "run", "--json")
    packs = demo.sh(f"find {target}/data -type f").splitlines()
    demo.exec(["python3", "-c", FLIP], data="\n".join(random.choices(packs, k=flips)))
    checked = demo.exec([*BACKUP, "check", "--all"])
    assert checked.returncode == 1
    assert "are damaged" in checked.stderr
    assert "are damaged" in alerts(demo)
    # A successful backup does not resolve this; a check of another target does.
    demo.sh(f"rm -rf {target} {REMEMBERED}; mkdir {target}")
    told(demo, *BACKUP, "run", "--json")
    assert "are damaged" in alerts(demo)
    demo.sh("appliance backup check --all")
    assert "are damaged" not in alerts(demo)


def test_what_must_not_be_written_to_is_refused(demo: "Demo", target: str) -> None:
    told(demo, *BACKUP, "run", "--json")
    demo.sh(f"mv {target} {target}.away")
    refused(demo.exec([*BACKUP, "run"]), "is not available")
    demo.sh(f"mkdir {target}")
    refused(demo.exec([*BACKUP, "run"]), "are gone")
    demo.sh(f"touch {target}/of-others")
    refused(demo.exec([*BACKUP, "run"]), "contains files, but no backups of this appliance")
    demo.sh(f"rm -r {target}; mv {target}.away {target}; mv {REMEMBERED} {REMEMBERED}.away")
    refused(demo.exec([*BACKUP, "run"]), "that this machine did not make")
    demo.sh(f"mv {REMEMBERED}.away {REMEMBERED}")
    set_backup(demo, password="another one")
    refused(demo.exec([*BACKUP, "run"]), "has a different password")
    assert "backup failed" in alerts(demo)


def test_an_empty_vault_of_a_database_with_documents_is_not_backed_up(demo: "Demo", target: str) -> None:
    demo.sh("docker exec ecs_ecs.web_1 /start run ./manage.py makedocs 1 --kilobytes 1")
    demo.sh("mkdir /root/empty; mount --bind /root/empty /data/ecs-storage-vault")
    try:
        refused(demo.exec([*BACKUP, "run"]), "/data/ecs-storage-vault is empty, but the database has documents")
    finally:
        demo.sh("umount /data/ecs-storage-vault; rmdir /root/empty")
    told(demo, *BACKUP, "run", "--json")
    assert alerts(demo) == WELL


def test_without_a_database_server_it_fails_loudly_and_then_recovers(demo: "Demo", target: str) -> None:
    demo.sh("systemctl stop postgresql@17-main")
    try:
        assert demo.exec(["systemctl", "start", "appliance-backup-frequent"]).returncode != 0
        assert "PostgreSQL does not answer" in alerts(demo)
    finally:
        demo.sh("systemctl start postgresql@17-main; systemctl reset-failed")
    told(demo, *BACKUP, "run", "--json")
    assert alerts(demo) == WELL


def test_the_password_is_in_no_process(demo: "Demo", target: str) -> None:
    set_backup(demo, password="Seen-by-nobody-4711")
    watch = "for f in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do grep -a -l Seen-by-nobody $f; done 2>/dev/null"
    loop = f"systemd-run --quiet --unit watch sh -c 'while :; do {watch} | grep -v /self/ >> /run/seen; done'"
    demo.sh(f"rm -f /run/seen; {loop}")
    try:
        told(demo, *BACKUP, "run", "--json")
    finally:
        demo.sh("systemctl stop watch")
    # The watcher has the word in its own arguments.
    seen = set(demo.sh("cat /run/seen; rm -f /run/seen").splitlines())
    own = {name for name in seen if "cmdline" in name}
    assert seen == own
    assert "Seen-by-nobody" not in demo.sh("journalctl -b -o cat --no-pager | grep -v systemd-run || true", timeout=120)


def test_a_killed_backup_or_prune_leaves_nothing_in_the_way(demo: "Demo", target: str, until: "Until") -> None:
    whole = [told(demo, *BACKUP, "run", "--json")["backup"]]
    for number in range(KILLS):
        unit = f"killed-{number}"
        words = "prune --yes" if number % 3 == 2 else "run --nightly"
        demo.sh(f"head -c 3000000 /dev/urandom > /data/ecs-pgdump/{unit}")
        demo.sh(f"systemd-run --quiet --unit {unit} appliance backup {words}")
        time.sleep(random.uniform(0.3, 8))
        demo.exec(["systemctl", "kill", "--signal=KILL", f"{unit}.service"])
        until(partial(has_ended, demo, unit), 30)
        demo.sh("systemctl reset-failed")
        whole.append(told(demo, *BACKUP, "run", "--json")["backup"])
        listed = [one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]]
        assert [one for one in whole if one not in listed] == []
    demo.sh("rm -f /data/ecs-pgdump/killed-*")
    assert demo.exec([*BACKUP, "check", "--all"], timeout=300).returncode == 0
    # A restic killed while it writes a file leaves one with -tmp- in its name, which no restic reads.
    assert demo.sh(f"find {target}/locks -type f ! -name '*-tmp-*'") == ""


def test_all_backups_can_be_looked_at_as_folders(demo: "Demo", target: str, until: "Until") -> None:
    """They are mounted as long as the command runs, however it ends."""
    for _ in range(2):
        told(demo, *BACKUP, "run", "--json")
    demo.sh("mkdir -p /mnt/backups")
    for signal in ("INT", "KILL"):
        demo.sh("systemd-run --quiet --unit mounted appliance backup mount /mnt/backups")
        until(lambda: demo.exec(["test", "-d", "/mnt/backups/snapshots/latest"]).returncode == 0, 60)
        assert len(demo.sh("ls /mnt/backups/snapshots | grep -v latest").split()) == 2
        demo.sh("cmp /mnt/backups/snapshots/latest/data/ecs-ca/ca.cert.pem /data/ecs-ca/ca.cert.pem")
        assert demo.exec(["touch", "/mnt/backups/snapshots/new"]).returncode != 0
        demo.exec(["systemctl", "kill", "--kill-whom=main", f"--signal={signal}", "mounted"])
        until(partial(has_ended, demo, "mounted"), 30)
        demo.sh("systemctl reset-failed")
    told(demo, *BACKUP, "run", "--json")
    refused(demo.exec([*BACKUP, "mount", "/etc"]), "/etc is not an empty folder")


def test_a_mount_is_there_only_while_it_is_used(demo: "Demo", target: str) -> None:
    mount = {"type": "none", "source": target, "target": "/mnt/backup", "options": "bind"}
    set_backup(demo, url="file:///mnt/backup/ecs/", mount=mount)
    refused(demo.exec([*BACKUP, "run"]), "there is no folder /mnt/backup/ecs")
    demo.sh(f"mkdir {target}/ecs")
    told(demo, *BACKUP, "run", "--json")
    assert len(told(demo, *BACKUP, "list", "--json")["backups"]) == 1
    assert demo.sh("findmnt --noheadings /mnt/backup || true") == ""
    assert demo.sh("ls -A /mnt/backup; ls /run/appliance/backup-mount 2>/dev/null || true") == ""
    set_backup(demo, mount={**mount, "source": "/root/not-there"})
    failed = demo.exec([*BACKUP, "run"])
    assert failed.returncode == 1
    assert "/root/not-there could not be mounted" in failed.stderr
    set_backup(demo, mount={})


def test_a_mount_that_several_use_stays_until_the_last_has_gone(demo: "Demo", target: str) -> None:
    mount = {"type": "none", "source": target, "target": "/mnt/backup", "options": "bind"}
    set_backup(demo, url="file:///mnt/backup/", mount=mount)
    told(demo, *BACKUP, "run", "--json")
    together = "for n in 1 2 3 4; do appliance backup list --json & done; appliance backup run --json; wait"
    answers = [json.loads(line) for line in demo.sh(together).splitlines()]
    assert [answer["ok"] for answer in answers] == [True] * 5
    assert demo.sh("findmnt --noheadings /mnt/backup || true") == ""
    set_backup(demo, mount={})


def test_a_target_that_is_nearly_full_or_read_only(demo: "Demo", target: str) -> None:
    demo.sh(f"mount -t tmpfs -o size=1200m tmpfs {target}")
    try:
        told(demo, *BACKUP, "run", "--json")
        demo.sh(f"head -c 300M /dev/zero > {target}/of-others")
        refused(demo.exec([*BACKUP, "run"]), "plus 1.0 GB in reserve")
        demo.sh(f"rm {target}/of-others; mount -o remount,ro {target}")
        refused(demo.exec([*BACKUP, "run"]), f"{target} is read-only")
        assert demo.exec(["appliance", "recover", "--plan"]).returncode == 0
        assert len(told(demo, *BACKUP, "list", "--json")["backups"]) == 1
        demo.sh(f"mount -o remount,rw {target}")
        told(demo, *BACKUP, "run", "--json")
    finally:
        demo.sh(f"umount {target}")


@pytest.fixture
def server(demo: "Demo") -> Iterator[dict[str, Any]]:
    """Create an account on an ssh server; yield the settings for env.yml."""
    demo.sh("useradd --create-home --groups ssh-login keeper")
    demo.sh("rm -f /root/keeper*; ssh-keygen -q -t ed25519 -N '' -f /root/keeper")
    demo.sh("install -d -o keeper -m 700 ~keeper/.ssh; install -o keeper /root/keeper.pub ~keeper/.ssh/authorized_keys")
    host = demo.sh("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")
    key = demo.machine.guest.pull("/root/keeper").decode()
    yield {"url": "sftp://keeper@127.0.0.1/backups", "host_keys": [host], "ssh_key": key, "password": PASSWORD}
    demo.sh("userdel --force --remove keeper; rm -f /root/keeper*")


def test_an_sftp_server_keeps_backups_and_another_one_does_not(
    demo: "Demo", target: str, server: dict[str, Any]
) -> None:
    set_backup(demo, **server)
    made = told(demo, *BACKUP, "run", "--json")
    assert [one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]] == [made["backup"]]
    assert demo.exec([*BACKUP, "check", "--all"]).returncode == 0
    assert demo.sh("stat -c %U ~keeper/backups/config") == "keeper"
    assert demo.sh("test -e /root/.ssh/known_hosts && grep -c 127.0.0.1 /root/.ssh/known_hosts || true") in ("", "0")
    set_backup(demo, host_keys=[demo.sh("cut -d' ' -f1,2 /root/keeper.pub")])
    failed = demo.exec([*BACKUP, "run"])
    assert failed.returncode == 1
    assert "is not among appliance.backup.host_keys" in failed.stderr


def test_plan_says_what_recovery_would_do_and_does_nothing(demo: "Demo", target: str) -> None:
    made = told(demo, *BACKUP, "run", "--json")
    done = demo.exec(["appliance", "recover", "--plan", "--json"])
    planned = json.loads(done.stdout.splitlines()[-1])
    assert planned["backup"]["id"] == made["backup"]
    assert planned["size"] == made["size"]
    assert any("the database ecs" in obstacle for obstacle in planned["in_the_way"])
    assert demo.answers()
