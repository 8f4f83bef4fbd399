"""Where a recovery takes its data from."""

from datetime import datetime
from typing import Protocol

from ecs_appliance.host.restic import Note, Snapshot


class Source(Protocol):
    """Backups to recover from. The methods are called in this order; those from `move_aside` on again after a cut."""

    @property
    def advice(self) -> str:
        """What is left to do for the operator once all is recovered; empty where nothing is."""
        ...

    @property
    def older(self) -> str:
        """Where documents may be that this one has lost."""
        ...

    def choose(self, wanted: str, until: datetime | None) -> Snapshot:
        """The one to recover from: of the id `wanted`, for the moment `until`, or the last. Raises RefusedError."""
        ...

    def check_space(self, snapshot: Snapshot) -> int:
        """Bytes of `snapshot`. Raises RefusedError where they do not fit."""
        ...

    def prepare(self, snapshot: Snapshot) -> None:
        """Have what reads `snapshot`, and see that it can be read. Raises ApplianceError."""
        ...

    def move_aside(self) -> list[str]:
        """Give way to what comes; returns what existing data are called now. The site does not run from here on."""
        ...

    def restore_files(self, snapshot: str, note: Note) -> tuple[str, ...]:
        """Have the files below /data; returns the documents, paths below the vault, that are not whole."""
        ...

    def restore_database(self, snapshot: str, until: datetime | None) -> None:
        """Have the database, as of `until` or of the time of `snapshot`, and serving."""
        ...

    def taken(self, snapshot: str, until: datetime | None) -> datetime:
        """The moment that the data now are of."""
        ...
