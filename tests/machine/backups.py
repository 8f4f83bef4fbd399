"""Run backups of a demonstration in tests: to separate targets, with no timed run in between."""

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
# Runs that timers have started may finish; such a service is "activating" as long as it runs.
SERVICES = " ".join(f"{name}.service" for name in TIMED)
RUNNING = f"systemctl show --property=ActiveState --value {SERVICES} | grep --quiet activating"
WAIT_IDLE = f"while {RUNNING}; do sleep 0.2; done"
WELL = "nothing is wrong"
# True of every demonstration: its backups stay on its own machine, and nobody has a key for it.
USUAL = {"backup-place", "no-ssh-key"}


@contextmanager
def quiet(demo: "Demo") -> Iterator[None]:
    """Keep timers from starting backups and rehearsals."""
    demo.sh(f"systemctl stop {TIMERS}; {WAIT_IDLE}")
    try:
        yield
    finally:
        # In a busy minute, the timers would otherwise reach systemd's start limit.
        demo.sh(f"systemctl reset-failed {TIMERS}; systemctl start {TIMERS}")


@contextmanager
def own_settings(demo: "Demo") -> Iterator[None]:
    """Do as `quiet` does; restore env.yml and the remembered repository afterwards."""
    before = demo.machine.guest.pull("/app/env.yml")
    with quiet(demo):
        # A backup started by a timer may have remembered its repository only when it finished.
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
    """Yield a new backup target, active until the end of the test."""
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
    """Assert that a command was refused for this `reason`."""
    assert (done.returncode, reason in done.stderr) == (4, True), done.stderr


def alerts(demo: "Demo") -> str:
    """Return the current alerts except those that every demonstration has, or WELL if there are none."""
    found = json.loads(demo.exec(["appliance", "alerts", "--json"]).stdout)["alerts"]
    told = [f"{each['severity']} {each['message']}\n  → {each['hint']}" for each in found if each["topic"] not in USUAL]
    return "\n".join(told) or WELL


def restic(words: str) -> str:
    """Return a restic command line for the target."""
    return f"echo {PASSWORD} | restic --repo {TARGET} --password-file /dev/stdin {words}"


def let_rest(demo: "Demo") -> None:
    """Make all documents so old that the application must have finished writing them."""
    demo.sh("find /data/ecs-storage-vault -type f -exec touch --date '1 hour ago' {} +")


def has_ended(demo: "Demo", unit: str) -> bool:
    """Return whether the service `unit` is no longer running."""
    return demo.exec(["systemctl", "is-active", "--quiet", unit]).returncode != 0
