"""Does the paper hold the file? Told by reading it back, the way one would after a disaster."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.paper.collection import IncompleteError, Recovered, recover, sort_out
from ecs_appliance.paper.pictures import Document
from ecs_appliance.paper.reader import ATTEMPTS
from ecs_appliance.paper.scan import Progress, Reading, read


class UnprovenError(ApplianceError):
    """The paper does not give the file back."""


def verify(papers: Sequence[Document], data: bytes, *, progress: Progress = lambda _: None) -> Recovered:
    """Read `papers`, PDFs or scans, all together, and compare what they hold with `data`.

    Of a file that was split, `papers` have to be as many shares as are needed, or more: then every share is tried
    together with those after it. Raises UnprovenError, or as `read` does.
    """
    reading = Reading()
    recovered = read(papers, reading, progress=progress)
    _compare(recovered.data, data, papers)
    _try_shares(reading, data, papers)
    return recovered


def verify_each(papers: Sequence[Document], data: bytes) -> Recovered:
    """The same, where each of `papers` is a set of sheets of its own: the whole file, or a share with all of the codes.

    Raises UnprovenError also for a set that is not complete.
    """
    readings = [_read_alone(paper) for paper in papers]
    together = Reading(list(chain(*(reading.seen for reading in readings))))
    recovered = together.recovered()
    _compare(recovered.data, data, papers)
    _try_shares(together, data, papers)
    return recovered


def _read_alone(paper: Document) -> Reading:
    """What is on `paper`. A share alone is never enough: where all that is on it was seen, nobody looks closer."""
    for attempts in (ATTEMPTS[:1], ATTEMPTS):
        reading = Reading()
        try:
            read([paper], reading, attempts=attempts)
        except IncompleteError:
            if not _is_set(reading):
                continue
        return reading
    raise UnprovenError(f"{paper.name} is not complete: not every code on it can be read")


def _is_set(reading: Reading) -> bool:
    """Whether it is all codes of one file, and one share."""
    collection = sort_out(reading.seen)
    return [codes.missing for codes in collection.files] == [[]] and len(collection.shares) == 1


def _try_shares(reading: Reading, data: bytes, papers: Sequence[Document]) -> None:
    """Each share is good for something, not only those that were enough."""
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
        where = "the line ends differ"
    else:
        lines = zip(read_back.splitlines(), data.splitlines(), strict=False)
        line = next((number for number, (one, other) in enumerate(lines, 1) if one != other), None)
        where = f"line {line} is the first that differs" if line else "one is longer than the other"
    names = ", ".join(paper.name for paper in papers)
    raise UnprovenError(f"{names}: the paper holds another file: {where}", "print the file anew: appliance env package")
