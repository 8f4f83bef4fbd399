"""Checks that updates run, and whether a new kernel needs a reboot."""

import os
import re
from collections.abc import Iterable
from datetime import datetime

from ecs_appliance.checks.check import Machine
from ecs_appliance.core.facts import read_facts
from ecs_appliance.core.markers import LAST_UPDATE
from ecs_appliance.core.paths import Paths
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import REBOOT, UPDATES

TOPICS = (UPDATES, REBOOT)
LATE_SECONDS = 3 * 86400
KERNEL = "vmlinuz-"


def find(machine: Machine) -> Iterable[Finding]:
    """Compare the last update with today, and the running kernel with the installed ones."""
    last = last_update(machine)
    automatic = machine.env is not None and machine.env.appliance.update.automatic
    if automatic and last is not None and machine.now - last > LATE_SECONDS:
        days = (machine.now - last) / 86400
        hint = "systemctl start appliance-update; journalctl -u appliance-update shows why it did not succeed"
        yield Finding(UPDATES, "warning", f"the last update is {days:.0f} days old", hint)
    newer = waiting_kernel(machine.paths, os.uname().release)
    if newer:
        yield Finding(REBOOT, "warning", f"the kernel {newer} is installed but not running yet", "reboot")


def last_update(machine: Machine) -> float | None:
    """Return when the last update succeeded, in Unix seconds; None if unknown."""
    said = machine.context.tags.get(LAST_UPDATE)
    try:
        return datetime.fromisoformat(said).timestamp() if said else None
    except ValueError:
        return None


def waiting_kernel(paths: Paths, running: str) -> str | None:
    """Return the newest kernel in /boot if it is not `running`, else None; in a container always None."""
    if read_facts(paths).in_container:
        return None
    found = [file.name.removeprefix(KERNEL) for file in paths.at("/boot").glob(f"{KERNEL}*")]
    newest = max(found, key=_version, default=running)
    return newest if running in found and _version(newest) > _version(running) else None


def _version(release: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", release)]
