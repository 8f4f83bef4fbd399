"""Compares documents: rows with files, files with the ledger, and what the application could read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ecs_appliance.backup.documents import DAYS, is_due
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile


@dataclass(frozen=True)
class Terms:
    """Wording for the comparison of documents; names in braces are filled in."""

    compared: str
    recorded: str
    unrecorded: str
    read: str
    proven: str
    missing: str
    altered: str
    unreadable: str


ENGLISH = Terms(
    compared="{number} compared: {how}",
    recorded="{number} match the recorded SHA-256",
    unrecorded="{number} of them without a recorded SHA-256",
    read="{number} decrypted and verified now",
    proven="{number} verified earlier, unchanged since",
    missing="document {name} is missing",
    altered="document {name} was altered: it differs from what was recorded",
    unreadable="document {name} cannot be decrypted and verified: {reason}",
)
GERMAN = Terms(
    compared="{number} verglichen: {how}",
    recorded="{number} wie aufgezeichnet (SHA-256)",
    unrecorded="{number} davon ohne aufgezeichneten SHA-256",
    read="{number} jetzt entschlüsselt und geprüft",
    proven="{number} früher geprüft, seither unverändert",
    missing="Dokument {name} fehlt",
    altered="Dokument {name} ist verändert: Es ist nicht, was aufgezeichnet wurde",
    unreadable="Dokument {name} lässt sich nicht entschlüsseln und prüfen: {reason}",
)


@dataclass(frozen=True)
class Documents:
    """The comparison of all documents that have a row, `rows` in number.

    `recorded` match the SHA-256 in the backup's ledger; `read` were decrypted and their signatures verified now,
    `proven` earlier, with the same content and keys. `missing`, `altered` and `unreadable` (name to reason) are wrong;
    `newer` are files without a row.
    """

    rows: int
    recorded: int = 0
    read: int = 0
    proven: int = 0
    missing: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    newer: tuple[str, ...] = ()

    @property
    def unrecorded(self) -> int:
        """The number of existing documents that the backup has no SHA-256 of."""
        return self.rows - self.recorded - len(self.missing) - len(self.altered)

    def wrong(self, terms: Terms = ENGLISH) -> tuple[str, ...]:
        """Return what is wrong, one line per problem."""
        unreadable = {name: reason for name, reason in self.unreadable.items() if name not in self.altered}
        return (
            *(terms.missing.format(name=name) for name in self.missing),
            *(terms.altered.format(name=name) for name in self.altered),
            *(terms.unreadable.format(name=name, reason=reason) for name, reason in unreadable.items()),
        )

    def summary(self, terms: Terms = ENGLISH) -> str:
        """Return one line that says what exactly was compared and what was not."""
        how = (
            terms.recorded.format(number=self.recorded),
            terms.unrecorded.format(number=self.unrecorded) if self.unrecorded else "",
            terms.read.format(number=self.read),
            terms.proven.format(number=self.proven) if self.proven else "",
        )
        return terms.compared.format(number=self.rows, how=", ".join(filter(None, how)))


def compare(
    hashes: Mapping[str, str],
    ledger: Mapping[str, str],
    rows: Collection[str],
    unreadable: Mapping[str, str],
    proven: Collection[str],
) -> Documents:
    """Return the comparison of `rows` with the files' `hashes` and with `ledger`, the SHA-256 recorded by the backup.

    The application has read all of `rows` except those in `proven`, and could not read `unreadable`.
    """
    there = hashes.keys() & set(rows)
    missing = set(rows) - there
    altered = {name for name in there if ledger.get(name, hashes[name]) != hashes[name] or not hashes[name]}
    failed = {name: why for name, why in sorted(unreadable.items()) if name in there}
    return Documents(
        rows=len(rows),
        recorded=len((there & ledger.keys()) - altered),
        read=len(there - set(proven) - failed.keys()),
        proven=len(there & set(proven)),
        missing=tuple(sorted(missing)),
        altered=tuple(sorted(altered)),
        unreadable=failed,
        newer=tuple(sorted(hashes.keys() - set(rows))),
    )


@dataclass(frozen=True)
class Proofs:
    """Documents that the application decrypted with the keys of `keyring`: name to SHA-256 of the content, and day."""

    keyring: str
    proven: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def holding(self, hashes: Mapping[str, str], day: int) -> set[str]:
        """Return those of `hashes` whose proof is still valid on `day`: same content, and not due again."""
        return {
            name
            for name, (digest, since) in self.proven.items()
            if hashes.get(name) == digest and since <= day and not is_due(name, day, since)
        }

    def renewed(self, read: Mapping[str, str], day: int) -> "Proofs":
        """Return the proofs with those of `read` (name to SHA-256) proven on `day`, without expired ones."""
        kept = {name: proof for name, proof in self.proven.items() if day - proof[1] < DAYS}
        return Proofs(self.keyring, {**kept, **{name: (digest, day) for name, digest in read.items()}})

    def save(self, paths: Paths) -> None:
        """Save the proofs; if they are lost, all documents are decrypted again."""
        _file(paths).write(self)


def read_proofs(paths: Paths, keyring: str) -> Proofs:
    """Return the proofs for the keys of `keyring`, a digest of them; none if they are from other keys."""
    found = _file(paths).read()
    return found if found and found.keyring == keyring else Proofs(keyring)


def _file(paths: Paths) -> StateFile[Proofs]:
    return StateFile(paths.state / "documents-proven.json", Proofs)
