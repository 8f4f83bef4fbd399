"""What a snapshot says of itself, in a file within it: how the database gets to the moment it was taken at."""

import json
from dataclasses import asdict, dataclass

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.paths import Paths


@dataclass(frozen=True)
class Record:
    """`point` is the database's restore point, `label` the backup of pgBackRest to start from.

    `database` is its name, `taken` Unix seconds, `documents` the number of files in the vault, `application` the commit
    that ran, `domain` the site's.
    """

    point: str
    label: str
    database: str
    taken: float
    documents: int
    application: str
    domain: str

    def save(self, paths: Paths) -> None:
        """Put it where the next snapshot takes it along."""
        write_atomic(paths.backup_record, json.dumps(asdict(self)), mode=0o600)


def read_record(paths: Paths) -> Record:
    """The record that lies below `paths`. Raises ApplianceError where there is none of use."""
    text = read_optional(paths.backup_record)
    try:
        return Record(**json.loads(text or "null"))
    except (ValueError, TypeError):
        raise ApplianceError(
            f"{paths.backup_record} is no record of a backup", "choose another one: appliance backup list"
        ) from None
