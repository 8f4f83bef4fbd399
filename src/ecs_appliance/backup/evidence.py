"""The report of a rehearsal, on a page: for an auditor, in ten years too."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ecs_appliance.backup.plan import in_gb
from ecs_appliance.backup.rehearsal import COMPARISON, Findings
from ecs_appliance.backup.run import SUMMED
from ecs_appliance.host.restic import Snapshot

WIDTH = 34


@dataclass(frozen=True)
class Evidence:
    """A rehearsal of `snapshot`; `began` is Unix seconds, `rpo` is in seconds.

    `start` is what the last start of the site took, None where that is not known. `repository` and `key` are restic's
    ids.
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
    start: float | None = None

    @property
    def ok(self) -> bool:
        """Whether all was as it should be."""
        return not self.findings.wrong

    @property
    def rto(self) -> float:
        """What a recovery takes until the site is up: fetching files, replaying the database, the start."""
        return sum(seconds for title, seconds in self.steps.items() if title != COMPARISON) + (self.start or 0)

    def facts(self) -> dict[str, object]:
        """The same for programs."""
        found = self.findings
        return {
            "ok": self.ok,
            "backup": self.snapshot.id,
            "taken": self.snapshot.time.isoformat(),
            "wrong": list(found.wrong),
            "documents": found.documents.rows if found.documents else None,
            "recorded": found.documents.recorded if found.documents else 0,
            "decrypted": found.documents.read if found.documents else 0,
            "proven_before": found.documents.proven if found.documents else 0,
            "files": found.files,
            "rows": {table: each.rows for table, each in found.compared.items()},
            "rpo_seconds": round(self.rpo, 1),
            "rto_seconds": round(self.rto, 1),
            "comparison_seconds": round(self.steps.get(COMPARISON, 0.0), 1),
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
        how = COMPARED if self.findings.documents else UNCOMPARED
        parts += [_table(self._times()), _table(self._with()), HOW.format(documents=how)]
        return "\n".join(parts)

    def _what(self) -> list[tuple[str, str]]:
        return [
            ("rehearsed", _time(self.began)),
            ("backup", f"{self.snapshot.id}"),
            ("of", f"{self.snapshot.time.astimezone():%Y-%m-%d %H:%M:%S %z}, {in_gb(self.size)}"),
            ("at", self.target),
            ("RPO: most work lost", f"{self.rpo / 60:.0f} min: the longest time without a backup in the last week"),
        ]

    def _times(self) -> list[tuple[str, str]]:
        steps = [(title, f"{seconds:.1f} s") for title, seconds in self.steps.items() if title != COMPARISON]
        start = "not known: the site does not run" if self.start is None else f"{self.start:.1f} s, the last time"
        compared = f"{self.steps.get(COMPARISON, 0.0):.1f} s"
        rto = f"{self.rto:.1f} s, without {'the start, ' if self.start is None else ''}{LEFT_OUT}"
        return [*steps, ("starting the site", start), ("RTO: all of it", rto), (COMPARISON, compared)]

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
        documents = found.documents.summary() if found.documents else f"NOT compared: {found.uncompared}"
        newer = ""
        if found.documents and found.documents.newer:
            newer = f", {len(found.documents.newer)} of them without a row"
        files = ("files in the vault", f"{found.files}{newer}; at the backup {found.record.documents}")
        return [*rows, ("documents", documents), files, ("application", found.record.application)]

    def _with(self) -> list[tuple[str, str]]:
        return [("repository", self.repository), ("key", self.key), *self.versions.items()]


LEFT_OUT = "installing the machine, building the application, comparing"
HOW = """How this was done
  The backup was fetched from its target and opened with the password of env.yml. Its copy of the database was
  started as a server of its own and brought to the moment of the backup. Digests of tables are SHA-256 over all rows,
  made at that moment on the site and now in the copy. {documents} Then all of it was removed.
"""
COMPARED = """Each row of a document was looked up by the application's own
  models, in a container without network, and its file compared with the SHA-256 that the site had recorded of it
  before the backup. The application decrypted those that it had not read before with this content and these keys,
  and those whose turn it was: within 28 days each one's comes. It verified their signatures."""
UNCOMPARED = """Documents were NOT compared with their rows, nor decrypted."""


def _table(rows: list[tuple[str, str]]) -> str:
    return "".join(f"{name:{WIDTH}}  {value}\n" for name, value in rows)


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S %z}"
