"""State of backups and rehearsals, kept across boots and exported as metrics, including the predecessor's names."""

import logging
from dataclasses import dataclass, replace

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile
from ecs_appliance.reporting.metrics import Sample, write_metrics

log = logging.getLogger(__name__)

HELPS = {
    "backup_last_start_time": "Start of the last backup.",
    "backup_last_failed": "1 if the last backup failed.",
    "backup_last_success_time": "Start of the last successful backup.",
    "backup_last_nightly_success_time": "Start of the last successful nightly backup.",
    "backup_last_duration": "Duration of the last backup in seconds.",
    "backup_last_size": "Bytes the last backup added to the repository.",
    "backup_last_data_size": "Size of the last backup in bytes.",
    "backup_interval_seconds": "Configured time between two backups in seconds.",
    "backup_repository_errors": "Known damaged files in the repository, at least 1 if there is damage.",
    "backup_rehearsal_success": "1 if the last rehearsal found no problems.",
    "backup_rehearsal_last_time": "Start of the last rehearsal.",
    "backup_verified_snapshot_time": "Time of the newest backup that a rehearsal has recovered.",
    "backup_rpo_seconds": "Longest time without a backup in the week before the last rehearsal, in seconds.",
    "backup_rto_seconds": "Seconds for fetching, replaying and the last start of the site, as of the last rehearsal.",
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
        log.warning("the state of backups could not be saved: %s", error)
    write_metrics(paths, "backup", updated.samples(), HELPS)
    return updated


def _file(paths: Paths) -> StateFile[Backups]:
    return StateFile(paths.state / "backup.json", Backups, mode=0o644)
