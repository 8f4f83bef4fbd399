"""Recovery from the appliance's own snapshots."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from ecs_appliance.backup import restore
from ecs_appliance.backup.manifest import read_manifest
from ecs_appliance.backup.plan import choose_snapshot
from ecs_appliance.backup.progress import read_abandoned
from ecs_appliance.backup.run import Installation
from ecs_appliance.core.errors import RefusedError
from ecs_appliance.host import postgres, systemd
from ecs_appliance.host.cluster import UNIT
from ecs_appliance.host.restic import OnProgress, Repository, Snapshot

log = logging.getLogger(__name__)

# What a recovery replaces below /data, besides the cluster. `etc` is in use: its files are overwritten.
REPLACED = ("ecs-acme", "ecs-ca", "ecs-gpg", "ecs-pgdump", "ecs-storage-vault", "pgbackrest")


@dataclass(frozen=True)
class Snapshots:
    """The snapshots in `repository`, for `machine` (see RecoverySource)."""

    machine: Installation
    repository: Repository
    advice: str = ""
    older: str = "an older backup may contain them: appliance backup restore-document ID"

    def choose(self, wanted: str, until: datetime | None) -> Snapshot:
        """Return the first snapshot after `until`, from which to recover the database to it (see RecoverySource)."""
        return choose_snapshot(self.repository.snapshots(), wanted=wanted, until=until)

    def check_space(self, snapshot: Snapshot) -> int:
        """See RecoverySource."""
        return restore.check_space(self.machine, self.repository, snapshot)

    def prepare(self, snapshot: Snapshot) -> None:
        """Do nothing: the repository is already open."""

    def move_aside(self) -> list[str]:
        """Rename the folders and the database cluster (see RecoverySource)."""
        systemd.stop(self.machine.runner, UNIT)
        return [str(moved) for moved in restore.move_aside(self.machine, REPLACED)]

    def restore_files(self, snapshot: str, on_progress: OnProgress) -> tuple[str, ...]:
        """Restore the files, pgBackRest's repository among them (see RecoverySource)."""
        systemd.stop(self.machine.runner, UNIT)
        restored = restore.restore_files(self.machine, self.repository, snapshot, on_progress)
        for line in (*restored.odd, *restored.hooks):
            log.warning("%s", line)
        return restored.lost

    def restore_database(self, snapshot: str, until: datetime | None) -> None:
        """Restore from the backups and WAL in /data/pgbackrest (see RecoverySource)."""
        systemd.stop(self.machine.runner, UNIT)
        record = read_manifest(self.machine.paths)
        moment = restore.earlier(until, record)
        if moment:
            self._check_history(moment)
        restore.restore_database(self.machine, record, moment)
        if moment:
            # Of the new timeline: no backup of the database made after that time leads to it.
            self.machine.archive.ensure(postgres.system_number(self.machine.server))
            self.machine.archive.save("diff")

    def taken(self, snapshot: str, until: datetime | None) -> datetime:
        """Return the time in the record, or `until` if earlier."""
        taken = datetime.fromtimestamp(read_manifest(self.machine.paths).taken, UTC)
        return min(taken, until) if until else taken

    def _check_history(self, moment: datetime) -> None:
        """Raise RefusedError if a rewind abandoned `moment`: this snapshot's timeline does not contain it."""
        for left in read_abandoned(self.machine.paths):
            if left.since < moment.timestamp() < left.until:
                raise RefusedError(
                    f"a rewind abandoned {moment.astimezone():%Y-%m-%d %H:%M:%S}, so this backup cannot be restored "
                    "to that time",
                    "choose a backup made before the rewind: appliance recover --yes --snapshot ID",
                )
