"""Does the paper hold the file? Told by reading it back, the way one would after a disaster."""

from collections.abc import Sequence

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.paper.collection import sort_out
from ecs_appliance.paper.pictures import Document
from ecs_appliance.paper.scan import Progress, Reading, read


class UnprovenError(ApplianceError):
    """The paper does not give the file back."""


def verify(papers: Sequence[Document], data: bytes, *, progress: Progress = lambda _: None) -> int:
    """Read `papers`, PDFs or scans, and compare with `data`; returns the number of codes of the file.

    Of a file that was split, `papers` have to be as many shares as are needed, or more: then every share is tried
    together with those after it. Raises UnprovenError, or as `read` does.
    """
    reading = Reading()
    recovered = read(papers, reading, progress=progress)
    _compare(recovered.data, data, papers)
    shares = sort_out(reading.seen).shares
    if shares:
        needed = shares[0][0].scheme.needed
        texts = [share.text for share, _ in shares]
        rest = [sight for sight in reading.seen if sight.text not in texts]
        for start in range(len(texts)):
            chosen = {texts[(start + step) % len(texts)] for step in range(needed)}
            some = Reading([sight for sight in reading.seen if sight.text in chosen] + rest)
            _compare(some.recovered().data, data, papers)
    return recovered.codes


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
