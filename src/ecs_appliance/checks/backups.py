"""Checks that there is a recent backup and a proven one, and that backups would survive the loss of this machine."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ecs_appliance.backup.progress import is_unfinished
from ecs_appliance.checks.check import Machine
from ecs_appliance.env.formats import to_seconds
from ecs_appliance.env.model import Env
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.backups import Backups, read_backups
from ecs_appliance.reporting.topics import BACKUP_AGE, BACKUP_NIGHTLY_AGE, BACKUP_PLACE, UNVERIFIED, Severity

TOPICS = (BACKUP_AGE, BACKUP_NIGHTLY_AGE, BACKUP_PLACE, UNVERIFIED)
HOUR, DAY = 3600.0, 86400.0
# Missed backups before an alert is raised.
MISSED_INTERVALS = 4
CRITICAL_AGE, NIGHTLY_AGE, UNVERIFIED_AGE = 32 * HOUR, 3 * DAY, 15 * DAY


def find(machine: Machine) -> Iterable[Finding]:
    """Compare the state of backups with the current time, whatever prevented them."""
    env = machine.env
    if env is None:
        return
    # Without a site there is nothing to back up.
    if not env.appliance.standby and machine.page is None and not is_unfinished(machine.paths):
        yield from _find_late(read_backups(machine.paths), to_seconds(env.appliance.backup.interval), machine.now)
    if _is_here(env, machine):
        hint = "set appliance.backup.url to a server or a mount: see the manual, Backup"
        yield Finding(BACKUP_PLACE, "warning", "backups are stored on this machine and would be lost with it", hint)


def _find_late(known: Backups, interval: float, now: float) -> Iterable[Finding]:
    if known.success is not None and now - known.success > max(MISSED_INTERVALS * interval, 2 * HOUR):
        age = now - known.success
        severity: Severity = "critical" if age > CRITICAL_AGE else "warning"
        yield Finding(BACKUP_AGE, severity, f"the last backup is {age / HOUR:.0f} hours old")
    if known.nightly is not None and now - known.nightly > NIGHTLY_AGE:
        message = f"for {(now - known.nightly) / DAY:.0f} days no backups were checked and no old ones removed"
        yield Finding(BACKUP_NIGHTLY_AGE, "warning", message)
    if known.verified is not None and now - known.verified > UNVERIFIED_AGE:
        message = f"the newest backup proven recoverable is {(now - known.verified) / DAY:.0f} days old"
        yield Finding(UNVERIFIED, "warning", message)


def _is_here(env: Env, machine: Machine) -> bool:
    """Return whether the target is a folder on one of the machine's own filesystems."""
    backup = env.appliance.backup
    url = urlsplit(backup.url.get_secret_value())
    if url.scheme.lower() != "file" or backup.mount.source:
        return False
    target = machine.paths.at(unquote(url.path))
    devices = {place.stat().st_dev for place in _own(machine) if place.exists()}
    return _existing(target).stat().st_dev in devices


def _own(machine: Machine) -> tuple[Path, ...]:
    return machine.paths.root, machine.paths.data, machine.paths.volatile


def _existing(path: Path) -> Path:
    return path if path.exists() or path == path.parent else _existing(path.parent)
