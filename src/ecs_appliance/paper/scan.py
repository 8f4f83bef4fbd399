"""Recovers the file from scans and photos of the sheets."""

import gzip
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.files import write_new
from ecs_appliance.core.state import StateFile
from ecs_appliance.paper.codes import read_part
from ecs_appliance.paper.collection import MixedError, Recovered, Seen, is_ours, recover, sort_out
from ecs_appliance.paper.pictures import Document, Page, UnreadableError, pages
from ecs_appliance.paper.scan_reader import ATTEMPTS, Attempt, read_codes
from ecs_appliance.paper.sheet_layout import CODES_PER_PAGE

PARTIAL, GZIPPED = ".partial", ".gz"

Progress = Callable[[str], None]


@dataclass
class Reading:
    """Codes read so far, and errors of pages and documents, by name."""

    seen: list[Seen] = field(default_factory=list)
    unreadable: dict[str, UnreadableError] = field(default_factory=dict)

    def recovered(self) -> Recovered:
        """Return the file. Raise as `recover` does, with the pages that could not be read added to the message."""
        skipped = tuple(problem.message for problem in self.unreadable.values())
        try:
            return replace(recover(sort_out(self.seen)), skipped=skipped)
        except ApplianceError as error:
            raise type(error)("\n    ".join([error.message, *skipped]), error.hint) from None


def scan(documents: Sequence[Document], output: Path, *, progress: Progress = lambda _: None) -> Recovered:
    """Recover the file from `documents` and write it to `output`, 0600, with its original modification time.

    `output` is gzipped if its name ends in .gz. Codes of an incomplete set are stored next to `output` and used by the
    next run. `progress` is called with the page being read. Raise RefusedError if `output` exists, IncompleteError,
    MixedError, DamagedError or UnreadableError; `output` is not written then.
    """
    partial = output.with_name(output.name + PARTIAL)
    reading = Reading(_load(output, partial))
    try:
        recovered = read(documents, reading, progress=progress)
    except MixedError as error:
        kept = f"codes read earlier are in {partial}: remove it to start over" if partial.exists() else ""
        raise MixedError(error.message, "; ".join(filter(None, (error.hint, kept)))) from None
    except ApplianceError as error:
        kept = _save(partial, [sight for sight in reading.seen if is_ours(sight.text)], output)
        raise type(error)(error.message, "; ".join(filter(None, (error.hint, kept)))) from None
    _write(output, recovered)
    partial.unlink(missing_ok=True)
    return recovered


def read(
    documents: Sequence[Document],
    reading: Reading,
    *,
    progress: Progress = lambda _: None,
    attempts: Sequence[Attempt] = ATTEMPTS,
) -> Recovered:
    """Return the file recovered from `documents` and the codes already in `reading`; add new codes to `reading`.

    Apply each of `attempts`, in order of effort, to all pages that may have more codes, until the file is complete.
    Raise IncompleteError, MixedError, DamagedError or UnreadableError.
    """
    texts: defaultdict[str, set[str]] = defaultdict(set)
    for attempt in attempts:
        for page in _pages(documents, reading.unreadable):
            if _is_whole(texts[page.where]):
                continue
            progress(f"{page.where}{'' if attempt is attempts[0] else f', {attempt.why}'}")
            try:
                found = read_codes(attempt.prepare(page.picture()))
            except UnreadableError as error:
                reading.unreadable[page.where] = error
                continue
            reading.seen += [Seen(text, page.where) for text in found if text not in texts[page.where]]
            texts[page.where].update(found)
        try:
            return reading.recovered()
        except MixedError:
            raise
        except ApplianceError as error:
            failure = error
    if reading.unreadable and not reading.seen:
        raise next(iter(reading.unreadable.values()))
    raise failure


def _is_whole(texts: Iterable[str]) -> bool:
    """Return whether `texts`, read from one page, are all codes of its sheets, as far as can be determined."""
    parts = {text: part for text in texts if (part := read_part(text))}
    numbers = {(part.digest, part.number) for part in parts.values()}
    if not parts:
        return len(list(texts)) >= CODES_PER_PAGE
    for part in parts.values():
        first = (part.number - 1) // CODES_PER_PAGE * CODES_PER_PAGE + 1
        last = min(first + CODES_PER_PAGE - 1, part.total)
        if not all((part.digest, number) in numbers for number in range(first, last + 1)):
            return False
    return True


def _pages(documents: Iterable[Document], unreadable: dict[str, UnreadableError]) -> Iterator[Page]:
    for document in documents:
        if document.name in unreadable:
            continue
        try:
            yield from (page for page in pages(document) if page.where not in unreadable)
        except UnreadableError as error:
            unreadable[document.name] = error


def _load(output: Path, partial: Path) -> list[Seen]:
    """Return the codes of earlier runs. Raise RefusedError if `output` exists."""
    try:
        if os.path.lexists(output):
            raise RefusedError(f"{output} already exists: it is never overwritten", "choose another --output")
        return [Seen(*pair) for pair in _file(partial).read() or []]
    except OSError as error:
        raise ApplianceError(f"cannot read {partial}: {error.strerror}", "choose another --output") from None


def _file(partial: Path) -> StateFile[list[tuple[str, str]]]:
    return StateFile(partial, list[tuple[str, str]], remedy="remove it and scan all pages again")


def _save(partial: Path, seen: Sequence[Seen], output: Path) -> str:
    """Store the codes for the next run; return what the operator has to do."""
    if not seen:
        return ""
    try:
        _file(partial).write([(sight.text, sight.where) for sight in seen])
    except OSError as error:
        return f"the codes could not be saved to {partial}: {error.strerror}; scan all pages at once"
    return f"scan what is missing: appliance env scan MORE… --output {output} (read so far: {partial})"


def _write(output: Path, recovered: Recovered) -> None:
    data = gzip.compress(recovered.data, mtime=0) if output.suffix == GZIPPED else recovered.data
    try:
        write_new(output, data, mode=0o600)
        if recovered.label:
            # So that printing it again makes the same codes.
            moment = recovered.label.modified.timestamp()
            os.utime(output, (moment, moment))
    except FileExistsError:
        raise RefusedError(f"{output} now exists: it is never overwritten", "choose another --output") from None
    except OSError as error:
        raise ApplianceError(f"cannot write {output}: {error.strerror}", "choose another --output") from None
