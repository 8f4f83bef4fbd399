"""The record in each snapshot: how to bring the database to the restore point of that backup."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile
from ecs_appliance.host.tables import TableChecksum

# The values are passed to other programs.
PLAIN = re.compile(r"[\w.:+-]*", re.ASCII)
OTHERS = "choose another backup: appliance backup list"


@dataclass(frozen=True)
class SnapshotManifest:
    """Record of a backup: `point` is the restore point, `label` the pgBackRest backup to start from.

    `database` is the database's name, `taken` Unix seconds, `documents` the number of files in the vault, `application`
    the commit that ran, `domain` the site's. `sums` are of the tables that must be identical at that point. `timeline`
    is the database's timeline then, 0 if unknown.
    """

    point: str
    label: str
    database: str
    taken: float
    documents: int
    application: str
    domain: str
    sums: Mapping[str, TableChecksum] = field(default_factory=dict)
    timeline: int = 0

    def save(self, paths: Paths) -> None:
        """Write it where the next snapshot includes it."""
        _file(paths).write(self)


def read_manifest(paths: Paths) -> SnapshotManifest:
    """Return the record below `paths`. Raises ApplianceError if it is missing or unusable."""
    record = _file(paths).read()
    if record and all(
        PLAIN.fullmatch(word) for word in (record.point, record.label, record.database, record.application)
    ):
        return record
    raise ApplianceError(f"{paths.backup_record} is not a valid record of a backup", OTHERS)


def _file(paths: Paths) -> StateFile[SnapshotManifest]:
    return StateFile(paths.backup_record, SnapshotManifest, remedy=OTHERS)
