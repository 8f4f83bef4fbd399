"""The page that reports a rehearsal to an auditor; it must be understandable in ten years, too."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ecs_appliance.backup.evidence_words import ENGLISH, GERMAN, EvidenceWords
from ecs_appliance.backup.plan import in_gb
from ecs_appliance.backup.rehearsal import COMPARISON, RehearsalFindings
from ecs_appliance.backup.run import SUMMED
from ecs_appliance.host.restic import Snapshot

WIDTH = 34
COLUMNS = 118


@dataclass(frozen=True)
class Evidence:
    """A rehearsal of `snapshot`; `began` is Unix seconds, `rpo` and the values of `steps` are seconds.

    `start` is the duration of the site's last start in seconds, None if unknown. `repository` and `key` are restic's
    ids.
    """

    snapshot: Snapshot
    size: int
    began: float
    steps: Mapping[str, float]
    findings: RehearsalFindings
    rpo: float
    repository: str
    key: str
    target: str
    domain: str
    versions: Mapping[str, str]
    start: float | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return not self.findings.wrong

    @property
    def rto(self) -> float:
        """Seconds until a recovered site is up: fetching files, replaying the database, and the start if known."""
        return sum(seconds for title, seconds in self.steps.items() if title != COMPARISON) + (self.start or 0)

    def facts(self) -> dict[str, object]:
        """Return the results for programs."""
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

    def page(self) -> str:
        """Return the page that is kept: German, then English."""
        return f"In English below.\n\n{self.render(GERMAN)}\n\n{self.render(ENGLISH)}"

    def render(self, words: EvidenceWords = ENGLISH) -> str:
        """Return the results as plain text in the language of `words`."""
        verdict = words.recoverable if self.ok else words.unreliable
        head = words.head.format(domain=self.domain)
        parts = [f"{head}\n{'=' * len(head)}\n\n{verdict}\n", _table(self._what(words)), _table(self._found(words))]
        if not self.ok:
            parts.append(f"{words.wrong}\n" + "".join(f"  - {line}\n" for line in self._wrong(words)))
        documents = words.how_compared if self.findings.documents else words.how_uncompared
        how = textwrap.fill(words.how.format(documents=documents), COLUMNS, initial_indent="  ", subsequent_indent="  ")
        parts += [_table(self._times(words)), _table(self._with(words)), f"{words.how_heading}\n{how}\n"]
        return "\n".join(parts)

    def _what(self, words: EvidenceWords) -> list[tuple[str, str]]:
        began, taken = datetime.fromtimestamp(self.began), self.snapshot.time
        return [
            (words.rehearsed, began.astimezone().strftime(words.moment)),
            (words.backup, self.snapshot.id),
            (words.taken, f"{taken.astimezone().strftime(words.moment)}, {_decimal(in_gb(self.size), words)}"),
            (words.target, self.target),
            (words.rpo, words.rpo_reached.format(minutes=f"{self.rpo / 60:.0f}")),
        ]

    def _times(self, words: EvidenceWords) -> list[tuple[str, str]]:
        def shown(seconds: float) -> str:
            return _decimal(f"{seconds:.1f}", words)

        steps = [
            (words.titles.get(title, title), f"{shown(seconds)} s")
            for title, seconds in self.steps.items()
            if title != COMPARISON
        ]
        start, left_out = words.start_unknown, words.left_out_with_start
        if self.start is not None:
            start, left_out = words.start_reached.format(seconds=shown(self.start)), words.left_out
        rto = words.rto_reached.format(seconds=shown(self.rto), left_out=left_out)
        compared = (words.titles[COMPARISON], f"{shown(self.steps.get(COMPARISON, 0.0))} s")
        return [*steps, (words.start, start), (words.rto, rto), compared]

    def _found(self, words: EvidenceWords) -> list[tuple[str, str]]:
        found = self.findings
        if found.record is None:
            return [(words.compared, words.nothing)]
        rows = [
            (table, words.rows.format(rows=each.rows, digest=each.digest)) for table, each in found.compared.items()
        ]
        rows += [
            (table, words.other_rows.format(rows=each.rows, digest=each.digest))
            for table, each in found.record.sums.items()
            if table not in found.compared
        ]
        rows += [(table, words.unrecorded) for table in SUMMED if table not in found.record.sums]
        files, documents = str(found.files), words.uncompared.format(reason=found.uncompared)
        if found.documents:
            documents = found.documents.summary(words.of_documents)
            if found.documents.newer:
                files += words.without_row.format(number=len(found.documents.newer))
        files = words.files_found.format(found=files, then=found.record.documents)
        return [
            *rows,
            (words.documents, documents),
            (words.files, files),
            (words.application, found.record.application),
        ]

    def _wrong(self, words: EvidenceWords) -> list[str]:
        """Return what is wrong. Error messages are quoted untranslated."""
        documents = self.findings.documents
        if documents is None:
            return list(self.findings.wrong)
        translated = dict(zip(documents.wrong(), documents.wrong(words.of_documents), strict=True))
        return [translated.get(line, line) for line in self.findings.wrong]

    def _with(self, words: EvidenceWords) -> list[tuple[str, str]]:
        return [(words.repository, self.repository), (words.key, self.key), *self.versions.items()]


def _table(rows: list[tuple[str, str]]) -> str:
    return "".join(f"{name:{WIDTH}}  {value}\n" for name, value in rows)


def _decimal(text: str, words: EvidenceWords) -> str:
    return text.replace(".", words.point)
