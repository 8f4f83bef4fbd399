"""Interrupt backup work at random moments, alternating kill -9 and power cuts; a plain re-run must suffice.

No complete snapshot may be lost or damaged, and no lock may be left.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.machine.backups import BACKUP, PASSWORD, TARGET, TIMERS, has_ended, own_settings, restic, set_backup
from tests.machine.people import told
from tests.machine.test_recovery import state_of
from tests.machine.test_rehearsal import TRACES

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

UNIT = "cut-off"
DOCUMENTS = 60
# Keep everything younger than the floor, remove the rest.
KEPT = {"keep_last": 1, "keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0, "keep_floor_days": 1}
UP_SECONDS = 300
END_SECONDS = 900


@pytest.fixture(scope="module")
def site(demo: "Demo") -> Iterator["Demo"]:
    """Yield the demonstration with some documents and its own backup target."""
    with own_settings(demo):
        # Disabled, so that they stay stopped after a power cut too.
        demo.sh(f"systemctl disable {TIMERS}; rm -rf {TARGET}; mkdir {TARGET}")
        set_backup(demo, url=f"file://{TARGET}/", password=PASSWORD, **KEPT)
        demo.sh(f"docker exec ecs_ecs.web_1 /start run ./manage.py makedocs {DOCUMENTS} --kilobytes 200", timeout=300)
        yield demo
        demo.sh(f"rm -rf {TARGET}; systemctl enable {TIMERS}")


def duration(site: "Demo", words: str) -> float:
    """Return how many seconds `words` take without interruption."""
    began = time.monotonic()
    site.sh(words, timeout=END_SECONDS)
    return time.monotonic() - began


def cut_off(site: "Demo", unit: str, seconds: float, number: int) -> None:
    """End the just started `unit` within `seconds`: kill its processes, or power off the whole machine."""
    time.sleep(random.uniform(0, seconds))
    if number % 2:
        site.machine.kill()
        site.machine.start()
        return
    site.exec(["systemctl", "kill", "--signal=KILL", unit])
    while not has_ended(site, unit):
        time.sleep(0.1)
    site.sh("systemctl reset-failed")


def wait_up(site: "Demo") -> None:
    end = time.monotonic() + UP_SECONDS
    while not site.answers():
        assert time.monotonic() < end
        time.sleep(1)


def listed(site: "Demo") -> set[str]:
    return {one["id"] for one in told(site, *BACKUP, "list", "--json")["backups"]}


def sound(site: "Demo") -> None:
    """Assert that everything stored is intact and that no lock is left."""
    site.sh("appliance backup check --all", timeout=END_SECONDS)
    assert site.sh(f"ls {TARGET}/locks") == ""


def start(site: "Demo", words: str) -> str:
    """Start `words`, and return the unit they run in."""
    site.sh(f"systemd-run --quiet --unit {UNIT} {words}")
    return UNIT


Change = Callable[["Demo", int], None]


def add_data(site: "Demo", number: int) -> None:
    site.sh(f"head -c 20M /dev/urandom > /data/ecs-pgdump/new-{number % 5}")


def add_old(site: "Demo", number: int) -> None:
    """Add snapshots for prune to remove, so that it also has to repack data that stays."""
    site.sh("head -c 5M /dev/urandom > /root/old-1; head -c 5M /dev/urandom > /root/old-2")
    for file in ("/root/old-1", "/root/old-2"):
        site.sh(restic(f"backup --quiet --host old --time '2020-01-{number % 27 + 1:02} 12:00:00' {file} /etc"))


@pytest.mark.parametrize(
    ("words", "change"),
    [("appliance backup run --nightly", add_data), ("appliance backup prune --yes", add_old)],
    ids=["backup", "prune"],
)
def test_backup_and_prune(site: "Demo", moments: int, words: str, change: Change) -> None:
    complete = {told(site, *BACKUP, "run", "--json")["backup"]}
    change(site, 0)
    seconds = duration(site, words)
    for number in range(moments):
        change(site, number)
        cut_off(site, start(site, words), seconds, number)
        wait_up(site)
        site.sh(words, timeout=END_SECONDS)
        complete.add(told(site, *BACKUP, "run", "--json")["backup"])
        assert complete <= listed(site)
        assert json.loads(site.sh(restic("snapshots --json --host old"))) == []
    sound(site)
    site.sh("rm -f /data/ecs-pgdump/new-* /root/old-*")


def test_rehearsal(site: "Demo", moments: int) -> None:
    rehearse = "appliance backup rehearse"
    made = told(site, *BACKUP, "run", "--json")["backup"]
    seconds = duration(site, rehearse)
    for number in range(moments):
        site.sh("systemctl start --no-block appliance-rehearsal")
        cut_off(site, "appliance-rehearsal", seconds, number)
        wait_up(site)
        assert told(site, *rehearse.split(), "--json")["wrong"] == []
        assert site.sh(TRACES) == ""
    assert made in listed(site)
    sound(site)


def test_recovery(site: "Demo", moments: int) -> None:
    recover = "appliance recover --yes"
    told(site, *BACKUP, "run", "--json")
    before, backups = state_of(site), listed(site)
    seconds = duration(site, f"{recover} --move-aside")
    for number in range(moments):
        cut_off(site, start(site, f"{recover} --move-aside"), seconds, number)
        # If nothing has been touched yet, existing data is in the way.
        begun = site.exec(["test", "-e", "/var/lib/ecs-appliance/recovery.json"]).returncode == 0
        if not begun:
            wait_up(site)
        site.sh(recover if begun else f"{recover} --move-aside", timeout=END_SECONDS)
        wait_up(site)
        now = state_of(site)
        assert (now.rows, now.people, now.files) == (before.rows, before.people, before.files)
        assert backups <= listed(site)
        site.sh("rm -rf /data/*.before-* /data/postgresql/17/main.before-*")
    sound(site)
