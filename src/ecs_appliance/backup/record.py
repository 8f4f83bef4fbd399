"""What a snapshot says of itself, in a file within it: how the database gets to the moment it was taken at."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile
from ecs_appliance.host.tables import Sum

# They become words of other programs' configurations.
PLAIN = re.compile(r"[\w.:+-]*", re.ASCII)
OTHERS = "choose another one: appliance backup list"


@dataclass(frozen=True)
class Record:
    """`point` is the database's restore point, `label` the backup of pgBackRest to start from.

    `database` is its name, `taken` Unix seconds, `documents` the number of files in the vault, `application` the commit
    that ran, `domain` the site's. `sums` are of the tables that have to be the same again, at that point. `timeline` is
    the database's history then, 0 where it is not known.
    """

    point: str
    label: str
    database: str
    taken: float
    documents: int
    application: str
    domain: str
    sums: Mapping[str, Sum] = field(default_factory=dict)
    timeline: int = 0

    def save(self, paths: Paths) -> None:
        """Put it where the next snapshot takes it along."""
        _file(paths).write(self)


def read_record(paths: Paths) -> Record:
    """The record that lies below `paths`. Raises ApplianceError where there is none of use."""
    record = _file(paths).read()
    if record and all(
        PLAIN.fullmatch(word) for word in (record.point, record.label, record.database, record.application)
    ):
        return record
    raise ApplianceError(f"{paths.backup_record} is no record of a backup", OTHERS)


def _file(paths: Paths) -> StateFile[Record]:
    return StateFile(paths.backup_record, Record, remedy=OTHERS)
