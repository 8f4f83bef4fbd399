"""Codes as the predecessor printed them: base32 of a gzip, alone, or cut up and numbered by two digits and a space.

They carry no count and no hash of the whole: gzip's own checksum and length are all there is to go by.
"""

import re
from collections.abc import Collection

from ecs_appliance.paper.codes import DamagedError, join, unpack

NUMBERED = re.compile(r"([0-9]{2}) ([A-Z2-7]{8,}=*)")
# Base32 of what every gzip begins with.
GZIP_START = "D6FQ"
ALONE = re.compile(rf"{GZIP_START}[A-Z2-7]*=*")


def read_old(text: str) -> tuple[int, str] | None:
    """Number (from 0) and content of the code with this text; None where it is none of the predecessor's."""
    alone = ALONE.fullmatch(text)
    if alone:
        return 0, text
    found = NUMBERED.fullmatch(text)
    return (int(found[1]), found[2]) if found else None


def missing(found: Collection[int]) -> list[int]:
    """The numbers that are certainly missing. How many there were is not known before the last was found."""
    return [number for number in range(max(found)) if number not in found]


def join_old(found: dict[int, str]) -> bytes:
    """The gzip of the codes `found`, none of which is missing before the last. Raises ApplianceError."""
    packed = join([found[number] for number in sorted(found)])
    try:
        unpack(packed)
    except DamagedError:
        raise DamagedError(
            f"the {len(found)} codes that were read are not a whole file: more follow, or they are of two files",
            f"scan the page with code {max(found) + 1:02}; the predecessor's paper does not say how many there are",
        ) from None
    return packed
