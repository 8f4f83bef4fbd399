"""Interface of the sources a recovery takes its data from."""

from datetime import datetime
from typing import Protocol

from ecs_appliance.host.restic import OnProgress, Snapshot


class RecoverySource(Protocol):
    """Backups to recover from. Methods are called in this order; after an interruption again from `move_aside` on."""

    @property
    def advice(self) -> str:
        """What the operator still has to do after the recovery; empty if nothing."""
        ...

    @property
    def older(self) -> str:
        """Where lost documents may still be found."""
        ...

    def choose(self, wanted: str, until: datetime | None) -> Snapshot:
        """Return the backup to recover from: id `wanted`, for the time `until`, or the last. Raises RefusedError."""
        ...

    def check_space(self, snapshot: Snapshot) -> int:
        """Return the size of `snapshot` in bytes. Raises RefusedError if it does not fit."""
        ...

    def prepare(self, snapshot: Snapshot) -> None:
        """Install what is needed to read `snapshot`, and check that it is readable. Raises ApplianceError."""
        ...

    def move_aside(self) -> list[str]:
        """Move existing data out of the way and return their new names. The site is stopped from here on."""
        ...

    def restore_files(self, snapshot: str, on_progress: OnProgress) -> tuple[str, ...]:
        """Restore the files below /data; return the documents (paths below the vault) that are incomplete."""
        ...

    def restore_database(self, snapshot: str, until: datetime | None) -> None:
        """Restore and start the database, as of `until` or of the time of `snapshot`."""
        ...

    def taken(self, snapshot: str, until: datetime | None) -> datetime:
        """Return the time that the restored data are from."""
        ...
