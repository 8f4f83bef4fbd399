"""Files as the bytes of a data disc: ISO 9660 with the names of Joliet and Rock Ridge, as every system reads one."""

import io
import re
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from pycdlib import PyCdlib

LABEL = "cidata"
SYSTEM = "LINUX"
APPLICATION = "ECS-APPLIANCE"
# Names of up to 31 characters in the plain name space.
LEVEL = 3
STEM_CHARACTERS = 20
# The disc holds secrets: where Rock Ridge is honoured, the owner alone reads them.
MODE = 0o100400
# What a disc is dated by that nobody gave a date: the same files make the same bytes.
UNDATED = datetime(2000, 1, 1, tzinfo=UTC)

SECTOR = 2048
FIRST_DESCRIPTOR, TERMINATOR = 16, 255
# ECMA-119: 8.4 volume descriptors, 9.1 directory records. SUSP and Rock Ridge: entries behind the name.
VOLUME_DATES = (813, 830, 864)
ROOT_RECORD = 156
RECORD_EXTENT, RECORD_LENGTH, RECORD_DATE, RECORD_NAME_LENGTH, RECORD_NAME = 2, 10, 18, 32, 33
SHORT_DATE = 7
ENTRY_HEAD, TIMES_HEAD = 4, 5


def make_disc(files: Mapping[str, bytes], *, label: str = LABEL, dated: datetime = UNDATED) -> bytes:
    """A disc image with `files` (name of at most 64 bytes → content) in its only folder, and the volume label `label`.

    Made in memory alone. The same arguments make the same bytes; every date in it is `dated`, which has a time zone.
    Raises ValueError for two names that are one where only plain ISO 9660 is read.
    """
    plain = {name: plain_name(name) for name in files}
    if len(set(plain.values())) < len(plain):
        raise ValueError(f"names that are not told apart on a plain disc: {', '.join(sorted(files))}")
    disc, image = PyCdlib(), io.BytesIO()
    disc.new(
        interchange_level=LEVEL,
        sys_ident=SYSTEM,
        vol_ident=label,
        app_ident_str=APPLICATION,
        joliet=3,
        rock_ridge="1.09",
    )
    for name, data in files.items():
        disc.add_fp(
            io.BytesIO(data),
            len(data),
            iso_path=f"/{plain[name]}",
            rr_name=name,
            joliet_path=f"/{name}",
            file_mode=MODE,
        )
    disc.write_fp(image)
    disc.close()
    return _dated(bytearray(image.getvalue()), dated)


def plain_name(name: str) -> str:
    """`name` as plain ISO 9660 has it: capitals, digits and underscores, one full stop, a version."""
    stem, _, extension = name.upper().rpartition(".")
    if not stem:
        stem, extension = extension, ""
    stem, extension = (re.sub("[^A-Z0-9]", "_", part) for part in (stem, extension))
    return f"{stem[:STEM_CHARACTERS]}.{extension[:8]};1"


def _dated(image: bytearray, moment: datetime) -> bytes:
    """`image` with `moment` for all its dates: pycdlib writes the time it runs at, in the time zone it runs in."""
    utc = moment.astimezone(UTC)
    short = struct.pack("7B", utc.year - 1900, utc.month, utc.day, utc.hour, utc.minute, utc.second, 0)
    long = f"{utc:%Y%m%d%H%M%S}00".encode() + b"\0"
    for descriptor in _descriptors(image):
        for offset in VOLUME_DATES:
            image[descriptor + offset : descriptor + offset + len(long)] = long
        for record in _records(image, descriptor + ROOT_RECORD):
            for offset in (record + RECORD_DATE, *_time_stamps(image, record)):
                image[offset : offset + SHORT_DATE] = short
    return bytes(image)


def _descriptors(image: bytearray) -> Iterator[int]:
    """Where the volume descriptors begin: one of plain names, one of Joliet's."""
    descriptor = FIRST_DESCRIPTOR * SECTOR
    while image[descriptor] != TERMINATOR:
        yield descriptor
        descriptor += SECTOR


def _records(image: bytearray, root: int) -> Iterator[int]:
    """Where the folder's record `root` and the records in the folder begin; none goes over the end of a sector."""
    yield root
    (extent,) = struct.unpack_from("<I", image, root + RECORD_EXTENT)
    (length,) = struct.unpack_from("<I", image, root + RECORD_LENGTH)
    for sector in range(extent * SECTOR, extent * SECTOR + length, SECTOR):
        record = sector
        while record < sector + SECTOR and image[record]:
            yield record
            record += image[record]


def _time_stamps(image: bytearray, record: int) -> Iterator[int]:
    """Where the dates of Rock Ridge's entries TF of a record begin."""
    name_length = image[record + RECORD_NAME_LENGTH]
    entry = record + RECORD_NAME + name_length + (name_length + 1) % 2
    while entry + ENTRY_HEAD <= record + image[record]:
        length = image[entry + 2]
        if image[entry : entry + 2] == b"TF":
            yield from range(entry + TIMES_HEAD, entry + length, SHORT_DATE)
        entry += length
