"""Verifies that paper contains the file, by reading it back as after a disaster."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.paper.collection import IncompleteError, Recovered, recover, sort_out
from ecs_appliance.paper.pictures import Document
from ecs_appliance.paper.scan import Progress, Reading, read
from ecs_appliance.paper.scan_reader import ATTEMPTS


class UnprovenError(ApplianceError):
    """The file cannot be recovered from the paper."""


def verify(papers: Sequence[Document], data: bytes, *, progress: Progress = lambda _: None) -> Recovered:
    """Read `papers` (PDFs or scans) together, and compare the file on them with `data`.

    For a split file, `papers` must have at least as many shares as needed; every share is tried in combination with
    those after it. Raise UnprovenError, or as `read` does.
    """
    reading = Reading()
    recovered = read(papers, reading, progress=progress)
    _compare(recovered.data, data, papers)
    _try_shares(reading, data, papers)
    return recovered


def verify_each(papers: Sequence[Document], data: bytes) -> Recovered:
    """Verify `papers` as `verify` does; each must be a complete set: the whole file, or a share with all codes.

    Raise UnprovenError also if a set is incomplete.
    """
    readings = [_read_alone(paper) for paper in papers]
    together = Reading(list(chain(*(reading.seen for reading in readings))))
    recovered = together.recovered()
    _compare(recovered.data, data, papers)
    _try_shares(together, data, papers)
    return recovered


def _read_alone(paper: Document) -> Reading:
    """Read `paper` alone. One share never suffices to recover, so stop as soon as its set is complete."""
    for attempts in (ATTEMPTS[:1], ATTEMPTS):
        reading = Reading()
        try:
            read([paper], reading, attempts=attempts)
        except IncompleteError:
            if not _is_set(reading):
                continue
        return reading
    raise UnprovenError(f"{paper.name} is incomplete: not every code on it can be read")


def _is_set(reading: Reading) -> bool:
    """Return whether `reading` has all codes of one file, and one share."""
    collection = sort_out(reading.seen)
    return [codes.missing for codes in collection.files] == [[]] and len(collection.shares) == 1


def _try_shares(reading: Reading, data: bytes, papers: Sequence[Document]) -> None:
    """Recover with every share, not only with those that sufficed, and compare. Raise UnprovenError."""
    collection = sort_out(reading.seen)
    shares = list(collection.shares)
    for start in range(len(shares)):
        needed = shares[start][0].scheme.needed
        some = (shares + shares)[start : start + needed]
        _compare(recover(replace(collection, shares=some)).data, data, papers)


def _compare(read_back: bytes, data: bytes, papers: Sequence[Document]) -> None:
    if read_back == data:
        return
    if read_back.splitlines() == data.splitlines():
        where = "the line endings differ"
    else:
        lines = zip(read_back.splitlines(), data.splitlines(), strict=False)
        line = next((number for number, (one, other) in enumerate(lines, 1) if one != other), None)
        where = f"line {line} is the first that differs" if line else "one is longer than the other"
    names = ", ".join(paper.name for paper in papers)
    raise UnprovenError(
        f"{names}: the paper contains a different file: {where}", "print the file again: appliance env package"
    )
