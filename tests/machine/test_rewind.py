"""Rewind the database of a running site: previewed first, documents untouched, the present state kept."""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.machine.backups import BACKUP, quiet
from tests.machine.people import query, told
from tests.machine.test_recovery import names, upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.machine.conftest import Demo

REWIND = ("appliance", "rewind")
SURE = "--yes"
STATE = "/var/lib/ecs-appliance/rewind.json"
KEPT = "ls -d /data/postgresql/17/main.before-* 2>/dev/null || true"


@dataclass(frozen=True)
class Times:
    """A point in time between the documents `before` and `after`."""

    moment: str
    before: str
    after: str


@pytest.fixture
def times(demo: "Demo") -> "Iterator[Times]":
    with quiet(demo):
        told(demo, *BACKUP, "run", "--json")
        before = upload(demo)
        time.sleep(2)
        moment = demo.sh("date '+%Y-%m-%d %H:%M:%S'")
        time.sleep(2)
        yield Times(moment, before, upload(demo))
        demo.sh(f"rm -rf $({KEPT})")


def refused(demo: "Demo", *words: str) -> str:
    done = demo.exec([*REWIND, *words])
    assert done.returncode == 4, done.stderr
    return done.stderr


def test_it_looks_first_and_changes_nothing(demo: "Demo", times: Times) -> None:
    present = names(demo)
    seen: dict[str, Any] = told(demo, *REWIND, "--to", times.moment, "--json")
    assert [one["uuid"].replace("-", "") for one in seen["newer"]] == [times.after]
    assert seen["now"]["documents_document"] - seen["then"]["documents_document"] == 1
    assert seen["now"]["auth_user"] == seen["then"]["auth_user"]
    shown = demo.sh(f"appliance rewind --to '{times.moment}'")
    assert "nothing was changed" in shown
    assert SURE in shown
    assert names(demo) == present
    assert demo.sh(f"{KEPT}; ls -d /data/.rewind 2>/dev/null || true") == ""
    assert demo.answers()


def test_it_goes_back_and_keeps_the_present(demo: "Demo", times: Times) -> None:
    present = names(demo)
    said = told(demo, *REWIND, "--to", times.moment, SURE, "--json")
    assert names(demo) == present - {times.after}
    assert times.after in said["newer"]
    # It remains as a file without a row, so that nobody has to lose it.
    assert demo.sh(f"find /data/ecs-storage-vault -name {times.after}") != ""
    assert demo.sh(KEPT) == said["kept"]
    assert demo.answers()
    assert demo.sh("systemctl --failed --no-legend") == ""
    # A point on the abandoned timeline can no longer be reached by its time, but newer ones can.
    assert "in a period that was abandoned" in refused(demo, "--to", soon_after(demo, times.moment))
    later = upload(demo)
    time.sleep(2)
    moment = demo.sh("date '+%Y-%m-%d %H:%M:%S'")
    time.sleep(2)
    assert [one["uuid"].replace("-", "") for one in told(demo, *REWIND, "--to", moment, "--json")["newer"]] == []
    made = told(demo, *BACKUP, "run", "--json")["backup"]
    demo.sh("appliance backup check --all", timeout=300)
    evidence = json.loads(demo.exec(["appliance", "backup", "rehearse", "--json"]).stdout.splitlines()[-1])
    assert (evidence["ok"], evidence["backup"]) == (True, made)
    assert later in names(demo)


def soon_after(demo: "Demo", moment: str) -> str:
    return demo.sh(f"date -d '{moment} 1 second' '+%Y-%m-%d %H:%M:%S'")


def test_what_cannot_be_is_refused(demo: "Demo", times: Times) -> None:
    assert "is in the future" in refused(demo, "--to", "2999-01-01 12:00")
    assert "the earliest is" in refused(demo, "--to", "2001-01-01 12:00")
    assert "no time given" in refused(demo)
    assert "no rewind to resume" in refused(demo, SURE)
    assert demo.answers()


def cut_off(demo: "Demo", moment: str) -> None:
    """Start a rewind, and kill it while the database is being restored."""
    demo.sh(f"systemd-run --quiet --unit cut-rewind appliance rewind --to '{moment}' {SURE}")
    deadline = time.monotonic() + 120
    while '"phase": "database"' not in demo.sh(f"cat {STATE} 2>/dev/null || true"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    demo.exec(["systemctl", "kill", "--signal=KILL", "cut-rewind.service"])
    time.sleep(1)
    demo.exec(["systemctl", "reset-failed"])


def test_one_that_is_cut_off_goes_on(demo: "Demo", times: Times) -> None:
    present = names(demo)
    people = query(demo, "select id, email, password from auth_user order by id")
    cut_off(demo, times.moment)
    assert "has already begun" in refused(demo, "--to", times.moment)
    told(demo, *REWIND, SURE, "--json")
    assert names(demo) == present - {times.after}
    assert query(demo, "select id, email, password from auth_user order by id") == people
    assert demo.answers()
    assert demo.sh(f"ls {STATE} 2>/dev/null || true") == ""


def test_one_of_which_nobody_knows_how_far_it_came_starts_nothing_until_the_present_is_back(
    demo: "Demo", times: Times
) -> None:
    """Follow the manual's instructions."""
    present = names(demo)
    cut_off(demo, times.moment)
    demo.sh(f"truncate --size 0 {STATE}")
    for words in ((*REWIND, SURE), ("appliance", "stage", "prepare-appliance")):
        done = demo.exec(words)
        assert done.returncode == 1
        assert f"{STATE} is damaged" in done.stderr
        assert "rename main.before-DATE to main; rm" in done.stderr
    assert demo.sh("docker ps --quiet") == ""
    assert "is damaged" in demo.sh("cat /var/www/html/status.json")
    demo.sh(
        f"""
        systemctl stop appliance postgresql@17-main
        mv /data/postgresql/17/main /data/postgresql/17/main.half
        mv "$({KEPT})" /data/postgresql/17/main
        rm {STATE}
        systemctl reset-failed; systemctl restart appliance
        rm -r /data/postgresql/17/main.half
        """,
        timeout=600,
    )
    assert names(demo) == present
    assert demo.answers()
    told(demo, *REWIND, "--to", times.moment, SURE, "--json")
    assert names(demo) == present - {times.after}
