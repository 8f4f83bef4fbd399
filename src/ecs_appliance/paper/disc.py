"""Creates the image of a data disc: ISO 9660 with Joliet and Rock Ridge names, readable on every system."""

import io
import re
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from pycdlib import PyCdlib

LABEL = "cidata"
SYSTEM = "LINUX"
APPLICATION = "ECS-APPLIANCE"
# Interchange level: allows names of up to 31 characters in plain ISO 9660.
LEVEL = 3
STEM_CHARACTERS = 20
# The disc contains secrets. Systems that honour Rock Ridge let only the owner read them.
MODE = 0o100400
# Default date: the same files make the same bytes.
UNDATED = datetime(2000, 1, 1, tzinfo=UTC)

SECTOR = 2048
FIRST_DESCRIPTOR, TERMINATOR = 16, 255
# Offsets from ECMA-119: 8.4 volume descriptors, 9.1 directory records. SUSP and Rock Ridge: entries after the name.
VOLUME_DATES = (813, 830, 864)
ROOT_RECORD = 156
RECORD_EXTENT, RECORD_LENGTH, RECORD_DATE, RECORD_NAME_LENGTH, RECORD_NAME = 2, 10, 18, 32, 33
SHORT_DATE = 7
ENTRY_HEAD, TIMES_HEAD = 4, 5


def make_disc(files: Mapping[str, bytes], *, label: str = LABEL, dated: datetime = UNDATED) -> bytes:
    """Return a disc image with `files` (name of at most 64 bytes → content) in its root, and the volume label `label`.

    Works in memory only. The same arguments make the same bytes; all dates in it are `dated`, which has a time zone.
    Raise ValueError if two names are identical in plain ISO 9660.
    """
    plain = {name: plain_name(name) for name in files}
    if len(set(plain.values())) < len(plain):
        raise ValueError(f"names that are identical in plain ISO 9660: {', '.join(sorted(files))}")
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
    """Convert `name` to plain ISO 9660: capitals, digits and underscores, one full stop, a version."""
    stem, _, extension = name.upper().rpartition(".")
    if not stem:
        stem, extension = extension, ""
    stem, extension = (re.sub("[^A-Z0-9]", "_", part) for part in (stem, extension))
    return f"{stem[:STEM_CHARACTERS]}.{extension[:8]};1"


def _dated(image: bytearray, moment: datetime) -> bytes:
    """Set all dates in `image` to `moment`; pycdlib always writes the current local time."""
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
    """Yield the offsets of the volume descriptors: plain ISO 9660, then Joliet."""
    descriptor = FIRST_DESCRIPTOR * SECTOR
    while image[descriptor] != TERMINATOR:
        yield descriptor
        descriptor += SECTOR


def _records(image: bytearray, root: int) -> Iterator[int]:
    """Yield the offsets of the folder's record `root` and of the records in it; none crosses the end of a sector."""
    yield root
    (extent,) = struct.unpack_from("<I", image, root + RECORD_EXTENT)
    (length,) = struct.unpack_from("<I", image, root + RECORD_LENGTH)
    for sector in range(extent * SECTOR, extent * SECTOR + length, SECTOR):
        record = sector
        while record < sector + SECTOR and image[record]:
            yield record
            record += image[record]


def _time_stamps(image: bytearray, record: int) -> Iterator[int]:
    """Yield the offsets of the dates in the Rock Ridge TF entries of a record."""
    name_length = image[record + RECORD_NAME_LENGTH]
    entry = record + RECORD_NAME + name_length + (name_length + 1) % 2
    while entry + ENTRY_HEAD <= record + image[record]:
        length = image[entry + 2]
        if image[entry : entry + 2] == b"TF":
            yield from range(entry + TIMES_HEAD, entry + length, SHORT_DATE)
        entry += length
