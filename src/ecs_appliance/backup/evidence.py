"""The report of a rehearsal, on a page: for an auditor, in ten years too."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ecs_appliance.backup.plan import in_gb
from ecs_appliance.backup.rehearsal import Findings
from ecs_appliance.backup.run import SUMMED
from ecs_appliance.host.restic import Snapshot

WIDTH = 34


@dataclass(frozen=True)
class Evidence:
    """A rehearsal of `snapshot`; `began` is Unix seconds, `rpo` is in seconds.

    `repository` and `key` are restic's ids.
    """

    snapshot: Snapshot
    size: int
    began: float
    steps: Mapping[str, float]
    findings: Findings
    rpo: float
    repository: str
    key: str
    target: str
    domain: str
    versions: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether all was as it should be."""
        return not self.findings.wrong

    @property
    def rto(self) -> float:
        """What a recovery of the data takes: fetching files, replaying the database, comparing both."""
        return sum(self.steps.values())

    def facts(self) -> dict[str, object]:
        """The same for programs."""
        found = self.findings
        return {
            "ok": self.ok,
            "backup": self.snapshot.id,
            "taken": self.snapshot.time.isoformat(),
            "wrong": list(found.wrong),
            "documents": found.documents,
            "files": found.files,
            "rows": {table: each.rows for table, each in found.compared.items()},
            "rpo_seconds": round(self.rpo, 1),
            "rto_seconds": round(self.rto, 1),
            "repository": self.repository,
            "key": self.key,
        }

    def render(self) -> str:
        """The page, plain text."""
        verdict = "The backup CAN be recovered from." if self.ok else "The backup can NOT be relied on."
        head = f"Rehearsal of a recovery: {self.domain}"
        parts = [f"{head}\n{'=' * len(head)}\n\n{verdict}\n", _table(self._what()), _table(self._found())]
        if self.findings.wrong:
            parts.append("What is wrong\n" + "".join(f"  - {line}\n" for line in self.findings.wrong))
        steps = [(title, f"{seconds:.1f} s") for title, seconds in self.steps.items()]
        parts += [_table([*steps, ("RTO: all of it", f"{self.rto:.1f} s")]), _table(self._with()), HOW]
        return "\n".join(parts)

    def _what(self) -> list[tuple[str, str]]:
        return [
            ("rehearsed", _time(self.began)),
            ("backup", f"{self.snapshot.id}"),
            ("of", f"{self.snapshot.time.astimezone():%Y-%m-%d %H:%M:%S %z}, {in_gb(self.size)}"),
            ("at", self.target),
            ("RPO: most work lost", f"{self.rpo / 60:.0f} min: the longest time without a backup in the last week"),
        ]

    def _found(self) -> list[tuple[str, str]]:
        found = self.findings
        if found.record is None:
            return [("compared", "nothing: it did not come that far")]
        rows = [
            (table, f"{each.rows} rows as at the backup, SHA-256 {each.digest}")
            for table, each in found.compared.items()
        ]
        rows += [
            (table, "not compared: nothing is recorded of it") for table in SUMMED if table not in found.record.sums
        ]
        documents = "not compared: the application has no vaultcheck"
        if found.documents is not None:
            documents = f"{found.documents} compared with their records and decrypted"
        newer = f", {found.newer} of them newer than the database" if found.newer else ""
        files = ("files in the vault", f"{found.files}{newer}; at the backup {found.record.documents}")
        return [*rows, ("documents", documents), files, ("application", found.record.application)]

    def _with(self) -> list[tuple[str, str]]:
        return [("repository", self.repository), ("key", self.key), *self.versions.items()]


HOW = """How this was done
  The backup was fetched from its target and opened with the password of env.yml. Its copy of the database was
  started as a server of its own and brought to the moment of the backup. Digests are SHA-256 over all rows, made at
  that moment on the site and now in the copy. The application compared each record with its document in a
  container without network, and decrypted it with the restored keys. Then all of it was removed.
"""


def _table(rows: list[tuple[str, str]]) -> str:
    return "".join(f"{name:{WIDTH}}  {value}\n" for name, value in rows)


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S %z}"
