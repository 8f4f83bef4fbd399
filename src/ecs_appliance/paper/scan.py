"""From scans and photos of the sheets back to the file."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.files import write_atomic
from ecs_appliance.paper.collection import MixedError, Recovered, Seen, is_ours, recover, sort_out
from ecs_appliance.paper.pictures import Document, Page, UnreadableError, pages
from ecs_appliance.paper.reader import ATTEMPTS, Attempt, read_codes
from ecs_appliance.paper.sheets import CODES_PER_PAGE

PARTIAL, GZIPPED = ".partial", ".gz"

Progress = Callable[[str], None]


@dataclass
class Reading:
    """What was seen so far, and of which documents nothing could be."""

    seen: list[Seen] = field(default_factory=list)
    unreadable: dict[str, UnreadableError] = field(default_factory=dict)

    def recovered(self) -> Recovered:
        """The file. Raises as `recover` does; then also tells what could not be read."""
        try:
            return recover(sort_out(self.seen))
        except ApplianceError as error:
            error.message += "".join(f"\n    {problem.message}" for problem in self.unreadable.values())
            raise


def scan(documents: Sequence[Document], output: Path, *, progress: Progress = lambda _: None) -> Recovered:
    """Read `documents` and write the file they are of to `output`, 0600; gzipped where its name ends so.

    What was read of an incomplete set is kept beside `output` and counts the next time. `progress` is told the page
    that is read. Raises RefusedError where `output` is there already, IncompleteError, MixedError, DamagedError,
    UnreadableError; then `output` is not written.
    """
    if output.exists() or output.is_symlink():
        raise RefusedError(f"{output} is there already: it is never overwritten", "choose another --output")
    partial = output.with_name(output.name + PARTIAL)
    reading = Reading(_load(partial))
    try:
        recovered = read(documents, reading, progress=progress)
    except MixedError as error:
        if partial.exists():
            error.hint += f"; what was read before is in {partial}: remove it to begin anew"
        raise
    except ApplianceError as error:
        ours = [sight for sight in reading.seen if is_ours(sight.text)]
        if ours:
            _save(partial, ours)
            error.hint = f"add what is missing: appliance env scan MORE… --output {output} (read so far: {partial})"
        raise
    data = gzip.compress(recovered.data, mtime=0) if output.suffix == GZIPPED else recovered.data
    try:
        write_atomic(output, data, mode=0o600)
    except OSError as error:
        raise ApplianceError(f"cannot write {output}: {error.strerror}", "choose another --output") from None
    partial.unlink(missing_ok=True)
    return recovered


def read(documents: Sequence[Document], reading: Reading, *, progress: Progress = lambda _: None) -> Recovered:
    """The file of which `documents`, and what `reading` has already, are sheets; what is seen is added to `reading`.

    Every page is looked at as it is; then those that showed less than a full sheet, with more and more effort.
    Raises as `scan` does.
    """
    counts: Counter[str] = Counter()
    for attempt in ATTEMPTS:
        for page in _pages(documents, reading.unreadable):
            if counts[page.where] < CODES_PER_PAGE:
                progress(f"{page.where}{'' if attempt is ATTEMPTS[0] else f', {attempt.why}'}")
                counts[page.where] = max(counts[page.where], _look(page, attempt, reading.seen))
        try:
            return reading.recovered()
        except MixedError:
            raise
        except ApplianceError as error:
            failure = error
    if len(reading.unreadable) == len(documents) and not reading.seen:
        raise next(iter(reading.unreadable.values()))
    raise failure


def _look(page: Page, attempt: Attempt, seen: list[Seen]) -> int:
    texts = read_codes(attempt.prepare(page.image))
    known = {(sight.text, sight.where) for sight in seen}
    seen.extend(Seen(text, page.where) for text in texts if (text, page.where) not in known)
    return len(texts)


def _pages(documents: Iterable[Document], unreadable: dict[str, UnreadableError]) -> Iterable[Page]:
    for document in documents:
        if document.name in unreadable:
            continue
        try:
            yield from pages(document)
        except UnreadableError as error:
            unreadable[document.name] = error


def _load(partial: Path) -> list[Seen]:
    try:
        return [Seen(str(text), str(where)) for text, where in json.loads(partial.read_bytes())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError):
        raise ApplianceError(f"{partial} is damaged", "remove it and scan all pages again") from None
    except OSError as error:
        raise ApplianceError(f"cannot read {partial}: {error.strerror}", "choose another --output") from None


def _save(partial: Path, seen: Sequence[Seen]) -> None:
    write_atomic(partial, json.dumps([(sight.text, sight.where) for sight in seen]), mode=0o600)
