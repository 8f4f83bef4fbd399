"""Checks that WAL is archived: until then it is lost with the machine, and fills its disk."""

from collections.abc import Iterable

from ecs_appliance.checks.check import Machine
from ecs_appliance.host.cluster import LOG
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.topics import ARCHIVE

TOPICS = (ARCHIVE,)
# A segment is due after a minute and archived within a second.
LATE_SECONDS = 600.0


def find(machine: Machine) -> Iterable[Finding]:
    """Report how long the oldest segment has been waiting; PostgreSQL marks waiting ones with a .ready file."""
    waiting = [file.stat().st_mtime for file in (machine.paths.cluster / "pg_wal/archive_status").glob("*.ready")]
    if waiting and machine.now - min(waiting) > LATE_SECONDS:
        minutes = (machine.now - min(waiting)) / 60
        message = f"the database's WAL was not archived for {minutes:.0f} minutes, {len(waiting)} segments wait"
        yield Finding(ARCHIVE, "critical", message, f"{LOG} and the files in /var/log/pgbackrest show why")
