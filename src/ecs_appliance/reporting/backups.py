"""State of backups and rehearsals, kept across boots and exported as metrics, including the predecessor's names."""

import logging
from dataclasses import dataclass, replace

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile
from ecs_appliance.reporting.metrics import Sample, write_metrics

log = logging.getLogger(__name__)

HELPS = {
    "backup_last_start_time": "When the last backup began.",
    "backup_last_failed": "1 where the last backup did not come to an end.",
    "backup_last_success_time": "When the last backup that came to an end began.",
    "backup_last_nightly_success_time": "When the last nightly backup that came to an end began.",
    "backup_last_duration": "Seconds that the last backup took.",
    "backup_last_size": "Bytes that the last backup added to the repository.",
    "backup_last_data_size": "Bytes that the last backup holds.",
    "backup_interval_seconds": "Time between two backups, as it is set.",
    "backup_repository_errors": "Damaged files of the repository that are known, 1 at the least where there is damage.",
    "backup_rehearsal_success": "1 where the last rehearsal found everything as it should be.",
    "backup_rehearsal_last_time": "When the last rehearsal began.",
    "backup_verified_snapshot_time": "When the newest backup was made that a rehearsal has recovered.",
    "backup_rpo_seconds": "Longest time without a backup in the week before the last rehearsal.",
    "backup_rto_seconds": "What fetching, replaying and the last start of the site took, as of the last rehearsal.",
}


@dataclass(frozen=True)
class Rehearsed:
    """A rehearsal that began at `at`; `verified` is when the newest proven backup was made, None if there is none."""

    ok: bool
    at: float
    verified: float | None
    rpo: float
    rto: float


@dataclass(frozen=True)
class Backups:
    """Times are Unix seconds, durations seconds, sizes bytes; None means not known yet."""

    start: float | None = None
    failed: bool | None = None
    success: float | None = None
    nightly: float | None = None
    duration: float | None = None
    size: int | None = None
    data_size: int | None = None
    interval: float | None = None
    errors: int | None = None
    rehearsal_ok: bool | None = None
    rehearsal: float | None = None
    verified: float | None = None
    rpo: float | None = None
    rto: float | None = None

    def rehearsed(self, paths: Paths, found: Rehearsed) -> "Backups":
        """Store the result of a rehearsal."""
        known = {"rehearsal_ok": found.ok, "rehearsal": found.at, "verified": found.verified}
        return update_backups(paths, **known, rpo=found.rpo, rto=found.rto)

    def samples(self) -> list[Sample]:
        """Return the known values as metrics."""
        values = {
            "backup_last_start_time": self.start,
            "backup_last_failed": self.failed,
            "backup_last_success_time": self.success,
            "backup_last_nightly_success_time": self.nightly,
            "backup_last_duration": self.duration,
            "backup_last_size": self.size,
            "backup_last_data_size": self.data_size,
            "backup_interval_seconds": self.interval,
            "backup_repository_errors": self.errors,
            "backup_rehearsal_success": self.rehearsal_ok,
            "backup_rehearsal_last_time": self.rehearsal,
            "backup_verified_snapshot_time": self.verified,
            "backup_rpo_seconds": self.rpo,
            "backup_rto_seconds": self.rto,
        }
        return [Sample(name, float(value)) for name, value in values.items() if value is not None]


def read_backups(paths: Paths) -> Backups:
    """Return the stored state; empty if it was lost."""
    return _file(paths).read() or Backups()


def update_backups(paths: Paths, **known: float | None) -> Backups:
    """Store `known`, fields of Backups, and write the metrics. A full disk is only logged."""
    updated = replace(read_backups(paths), **known)  # type: ignore[arg-type] # the fields' own types
    try:
        _file(paths).write(updated)
    except OSError as error:
        log.warning("what is known of backups could not be kept: %s", error)
    write_metrics(paths, "backup", updated.samples(), HELPS)
    return updated


def _file(paths: Paths) -> StateFile[Backups]:
    return StateFile(paths.state / "backup.json", Backups, mode=0o644)
