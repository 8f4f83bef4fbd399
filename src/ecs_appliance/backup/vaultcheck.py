"""What the application says when it compares each of its records with its file in the vault."""

import json
from dataclasses import dataclass

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.text import printable

# Django's words for a command that it does not have.
UNKNOWN = "Unknown command"


@dataclass(frozen=True)
class Vault:
    """`checked` is false where the application has no vaultcheck; `newer` are files that no record names."""

    checked: bool
    documents: int = 0
    missing: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()


def read_vaultcheck(said: str) -> Vault:
    """The last line of JSON in what `vaultcheck --json` printed, on whichever output.

    Raises ApplianceError where it failed before it could tell.
    """
    lines = [line for line in said.splitlines() if line.startswith("{")]
    if not lines and UNKNOWN in said:
        return Vault(checked=False)
    if not lines:
        last = next((printable(line) for line in reversed(said.splitlines()) if line.strip()), "nothing at all")
        raise ApplianceError(f"the application could not compare documents and database: {last}", "try again")
    found = json.loads(lines[-1])
    return Vault(
        checked=True,
        documents=found["documents"],
        missing=tuple(found["missing"]),
        altered=tuple(found["altered"]),
        newer=tuple(found["orphaned"]),
    )
