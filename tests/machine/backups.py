"""Backups of a demonstration by tests: to targets of their own, and with no other run beside them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ecs_appliance.core.runner import Result

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

BACKUP = ("appliance", "backup")
TARGET = "/root/backup-target"
REMEMBERED = "/data/etc/backup/repository"
PASSWORD = "of-the-test"
TIMED = ("appliance-backup", "appliance-backup-frequent", "appliance-rehearsal")
TIMERS = " ".join(f"{name}.timer" for name in TIMED)
# What the clock has begun, is let end: such a service is "activating" for as long as it runs.
SERVICES = " ".join(f"{name}.service" for name in TIMED)
RUNNING = f"systemctl show --property=ActiveState --value {SERVICES} | grep --quiet activating"
WAIT_IDLE = f"while {RUNNING}; do sleep 0.2; done"
WELL = "nothing is wrong"
# Its backups stay on its machine, and nobody has a key to it.
USUAL = {"backup-place", "no-ssh-key"}


@contextmanager
def quiet(demo: "Demo") -> Iterator[None]:
    """Nothing is backed up or rehearsed by the clock."""
    demo.sh(f"systemctl stop {TIMERS}; {WAIT_IDLE}")
    try:
        yield
    finally:
        # systemd counts the starts of a busy minute.
        demo.sh(f"systemctl reset-failed {TIMERS}; systemctl start {TIMERS}")


@contextmanager
def own_settings(demo: "Demo") -> Iterator[None]:
    """Quiet; and env.yml, and the repository that is remembered, are afterwards as they were."""
    before = demo.machine.guest.pull("/app/env.yml")
    with quiet(demo):
        # A backup that the clock had begun may have remembered its repository only as it ended.
        remembered = demo.sh(f"cat {REMEMBERED} 2>/dev/null || true")
        demo.sh(f"rm -f {REMEMBERED}")
        try:
            yield
        finally:
            demo.machine.guest.push("/app/env.yml", before, mode=0o600)
            again = f"echo {remembered} > {REMEMBERED}" if remembered else f"rm -f {REMEMBERED}"
            demo.sh(f"env-update.sh; {again}")


@pytest.fixture
def target(demo: "Demo") -> Iterator[str]:
    """A new target for backups, in force until the end of the test."""
    with own_settings(demo):
        demo.sh(f"rm -rf {TARGET}; mkdir -p {TARGET}")
        set_backup(demo, url=f"file://{TARGET}/")
        yield TARGET
        demo.sh(f"rm -rf {TARGET}")


def set_backup(demo: "Demo", **values: Any) -> None:
    """Change keys of appliance.backup, and activate them."""

    def change(env: Any) -> None:
        env["appliance"]["backup"].update(values)

    demo.edit_env(change)
    demo.sh("env-update.sh")


def refused(done: Result, reason: str) -> None:
    """It was refused, for this `reason`."""
    assert (done.returncode, reason in done.stderr) == (4, True), done.stderr


def alerts(demo: "Demo") -> str:
    """Return what is wrong now beside what is so with every demonstration; WELL where nothing is."""
    found = json.loads(demo.exec(["appliance", "alerts", "--json"]).stdout)["alerts"]
    told = [f"{each['severity']} {each['message']}\n  → {each['hint']}" for each in found if each["topic"] not in USUAL]
    return "\n".join(told) or WELL


def restic(words: str) -> str:
    """A command line of restic's own on the target."""
    return f"echo {PASSWORD} | restic --repo {TARGET} --password-file /dev/stdin {words}"


def let_rest(demo: "Demo") -> None:
    """Have all documents as old as those that the application has long ended writing."""
    demo.sh("find /data/ecs-storage-vault -type f -exec touch --date '1 hour ago' {} +")


def has_ended(demo: "Demo", unit: str) -> bool:
    """Whether the service `unit` does not run any more."""
    return demo.exec(["systemctl", "is-active", "--quiet", unit]).returncode != 0
