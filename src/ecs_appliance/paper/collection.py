"""Groups the codes read, in any order, by their file, and recovers that file."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, product

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.paper import split
from ecs_appliance.paper.codes import CodeKind, DamagedCodeError, Label, Part, join, read_label, read_part, unpack
from ecs_appliance.paper.predecessor import join_old, missing, read_old
from ecs_appliance.paper.split import Share, read_share

# Of different readings of the same codes, at most so many combinations are tried.
MOST_COMBINATIONS = 4096
MOST_PLACES = 4
BASE32_GROUP = 8


@dataclass(frozen=True, repr=False)
class Seen:
    """The text of a code, and on which page it was read, for people."""

    text: str
    where: str


@dataclass(frozen=True, repr=False)
class Codes:
    """The codes of one file. `read`: number → text → pages. Codes of the predecessor have no `digest`."""

    kind: CodeKind
    total: int
    digest: bytes
    read: Mapping[int, Mapping[str, Sequence[str]]]

    @property
    def is_old(self) -> bool:
        """Whether the predecessor printed them."""
        return not self.digest

    @property
    def missing(self) -> list[int]:
        """Numbers of the codes that were not read."""
        if self.is_old:
            return missing(self.read)
        return [number for number in range(1, self.total + 1) if number not in self.read]

    @property
    def label(self) -> Label | None:
        """The label in the first code; None if that was not read, has none or is encrypted."""
        texts = self.read.get(1)
        if not texts or self.is_old or self.kind is CodeKind.SPLIT:
            return None
        text = next(iter(texts))
        return read_label(join([text[: len(text) // BASE32_GROUP * BASE32_GROUP]]))

    @property
    def name(self) -> str:
        """Description of the file and of the pages its codes were on, for people."""
        label = self.label
        what = f"{label.name} of {label.modified:%Y-%m-%d %H:%M} UTC, " if label else ""
        what += f"SHA-256 {self.digest.hex()[:16]}…" if self.digest else "the predecessor's paper"
        return f"{what}: {_places(chain(*(where for texts in self.read.values() for where in texts.values())))}"


@dataclass(frozen=True, repr=False)
class Collection:
    """Everything that was read, by file. `others` counts codes that are not ours."""

    files: Sequence[Codes]
    shares: Sequence[tuple[Share, str]]
    others: int


@dataclass(frozen=True, repr=False)
class Recovered:
    """The file and its label. `skipped` lists problems with pages that could not be read but were not needed."""

    data: bytes
    label: Label | None
    codes: int
    shares: tuple[Share, ...] = ()
    skipped: tuple[str, ...] = ()


class IncompleteError(ApplianceError):
    """A part of the file, or a share, has not been read yet."""


class MixedError(RefusedError):
    """Sheets of several files."""


def sort_out(seen: Iterable[Seen]) -> Collection:
    """Group `seen` by file."""
    new: dict[tuple[CodeKind, int, bytes], dict[int, dict[str, list[str]]]] = {}
    shares: dict[Share, str] = {}
    others = 0
    for sight in seen:
        part = read_part(sight.text) or _old_part(sight.text)
        share = read_share(sight.text)
        if part:
            read = new.setdefault((part.kind, part.total, part.digest), {})
            read.setdefault(part.number, {}).setdefault(part.data, []).append(sight.where)
        elif share:
            shares.setdefault(share, sight.where)
        else:
            others += 1
    return Collection([Codes(*key, read) for key, read in new.items()], list(shares.items()), others)


def is_ours(text: str) -> bool:
    """Return whether the text of a code is part of a file, or a share."""
    return bool(read_part(text) or _old_part(text) or read_share(text))


def recover(collection: Collection) -> Recovered:
    """Return the only file of `collection`.

    Raise IncompleteError if something is missing, MixedError if there are several files, DamagedError if the data read
    differs from what was printed.
    """
    codes = _only_file(collection)
    if codes.missing:
        count = "" if codes.is_old else f" of {codes.total}"
        verb = "is" if len(codes.missing) == 1 else "are"
        raise IncompleteError(
            f"{_listed(codes.missing)}{count} {verb} missing", _highest(codes) if codes.is_old else ""
        )
    packed = _joined_old(codes) if codes.is_old else _joined(codes, collection.shares)
    label = None if codes.is_old else read_label(packed)
    return Recovered(unpack(packed), label, len(codes.read), tuple(share for share, _ in collection.shares))


def _only_file(collection: Collection) -> Codes:
    names = [codes.name for codes in collection.files]
    known = {split.short(codes.digest) for codes in collection.files}
    names += [f"share {share.number}: {where}" for share, where in collection.shares if share.digest not in known]
    if not collection.files:
        seen = "; shares were found, but they contain only words" if collection.shares else ""
        seen += f"; unrelated codes found: {collection.others}" if collection.others else ""
        raise IncompleteError(
            f"no code of an env.yml was found{seen}", "scan at 300 dpi, the whole page, flat and sharp"
        )
    if len(names) > 1:
        raise MixedError(
            "the sheets belong to several files:" + "".join(f"\n    {name}" for name in names),
            "use the sheets of one file only",
        )
    return collection.files[0]


def _joined(codes: Codes, shares: Sequence[tuple[Share, str]]) -> bytes:
    packed = _matching(codes)
    return split.decrypt(packed, _enough(shares)) if codes.kind is CodeKind.SPLIT else packed


def _matching(codes: Codes) -> bytes:
    """Return the combination of readings whose hash matches the paper. Raise DamagedCodeError if none does."""
    readings = product(*(codes.read[number] for number in range(1, codes.total + 1)))
    for texts in islice(readings, MOST_COMBINATIONS):
        try:
            packed = join(texts)
            named = packed if codes.kind is CodeKind.SPLIT else unpack(packed)
        except DamagedCodeError:
            continue
        if hashlib.sha256(named).digest() == codes.digest:
            return packed
    raise DamagedCodeError(
        "all codes were read, but the file does not have the SHA-256 that they state", _rescan(codes)
    )


def _enough(shares: Sequence[tuple[Share, str]]) -> list[Share]:
    if not shares:
        raise IncompleteError("all codes were read, but no share", "also scan the first page of each share")
    needed = shares[0][0].scheme.needed
    numbers = sorted({share.number for share, _ in shares})
    if len(numbers) < needed:
        there = ", ".join(str(number) for number in numbers)
        raise IncompleteError(f"{needed} shares are needed, but only these were found: {there}")
    return [share for share, _ in shares]


def _joined_old(codes: Codes) -> bytes:
    twice = [number for number, texts in codes.read.items() if len(texts) > 1]
    if twice:
        places = [_places(where) for where in codes.read[twice[0]].values()]
        raise MixedError(f"the sheets belong to two files: code {twice[0]:02} differs between {' and '.join(places)}")
    return join_old({number: next(iter(texts)) for number, texts in codes.read.items()})


def _old_part(text: str) -> Part | None:
    old = read_old(text)
    return Part(CodeKind.PLAIN, old[0], 0, b"", old[1]) if old else None


def _highest(codes: Codes) -> str:
    """Say where the code with the highest number was read: a foreign code may look like one of the predecessor's."""
    number = max(codes.read)
    return f"code {number:02} was read in {_places(chain(*codes.read[number].values()))}: omit it if it is unrelated"


def _rescan(codes: Codes) -> str:
    doubtful = [number for number, texts in codes.read.items() if len(texts) > 1]
    return f"scan {_listed(doubtful)} again" if doubtful else "scan the pages again"


def _listed(numbers: Sequence[int]) -> str:
    return f"code{'s' if len(numbers) > 1 else ''} {', '.join(str(number) for number in numbers)}"


def _places(where: Iterable[str]) -> str:
    places = list(dict.fromkeys(where))
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    return ", ".join(places[:MOST_PLACES]) + more
