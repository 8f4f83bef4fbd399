"""Reads codes printed by the predecessor: base32 of a gzip, whole, or in parts numbered by two digits and a space.

They contain neither the number of codes nor a hash of the file; only gzip's checksum and length can be verified.
"""

import re
from collections.abc import Collection

from ecs_appliance.paper.codes import DamagedCodeError, join, unpack

NUMBERED = re.compile(r"([0-9]{2}) ([A-Z2-7]{8,}=*)")
# Base32 of the first bytes of every gzip.
GZIP_START = "D6FQ"
ALONE = re.compile(rf"{GZIP_START}[A-Z2-7]*=*")


def read_old(text: str) -> tuple[int, str] | None:
    """Return number (from 0) and content of the code with this text; None if it is not one of the predecessor's."""
    alone = ALONE.fullmatch(text)
    if alone:
        return 0, text
    found = NUMBERED.fullmatch(text)
    return (int(found[1]), found[2]) if found else None


def missing(found: Collection[int]) -> list[int]:
    """Return the missing numbers below the highest one found; the total number is not known."""
    return [number for number in range(max(found)) if number not in found]


def join_old(found: dict[int, str]) -> bytes:
    """Return the gzip in the codes `found`, which have no gaps. Raise DamagedCodeError if it is damaged or cut off."""
    packed = join([found[number] for number in sorted(found)])
    try:
        unpack(packed)
    except DamagedCodeError:
        raise DamagedCodeError(
            f"the {len(found)} codes that were read are not a complete file: more follow, or they belong to two files",
            f"scan the page with code {max(found) + 1:02}; the predecessor's paper does not say how many there are",
        ) from None
    return packed
