"""Converts a file to the texts of QR codes, and back.

A code is a header and a part of the base32 of the gzipped file. The header consists only of the digits 0, 1, 8 and 9,
which are not in base32: `sort` puts the codes in order by it, and `base32 --ignore-garbage` skips it. So four public
tools can read the paper, without cutting or joining any texts.
"""

import base64
import binascii
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from ecs_appliance.core.errors import ApplianceError, RefusedError

# With its header, a code has version 32; four fit on a page, with modules large enough for a phone.
CHARACTERS = 2100
# After packing; as much as the predecessor's paper could hold.
MOST_BYTES = 131_200
DIGITS = "0189"
NUMBER_DIGITS = 4
HASH_DIGITS = 128
TEXT = re.compile(
    rf"([01])([{DIGITS}]{{{NUMBER_DIGITS}}})([{DIGITS}]{{{NUMBER_DIGITS}}})([{DIGITS}]{{{HASH_DIGITS}}})([A-Z2-7]+)"
)
# Five bytes are eight characters of base32. Other lengths need `=`, which alphanumeric QR codes do not have.
BYTES_PER_GROUP = 5
# RFC 1952: magic, method, flags, modification time, extra flags, system.
GZIP_HEADER = struct.Struct("<2sBBIBB")
GZIP_MAGIC = b"\x1f\x8b"
NAMED, COMMENTED, OTHER_FIELDS = 0x08, 0x10, 0x04
LARGEST_UNPACKED = 16 * 1024 * 1024


class CodeKind(Enum):
    """What the codes contain, by their first digit: the file, or the encrypted file."""

    PLAIN = "0"
    SPLIT = "1"


class DamagedCodeError(ApplianceError):
    """The data read differs from the data written."""


@dataclass(frozen=True)
class Part:
    """One code: number `number` (from 1) of `total`; `digest` is the SHA-256 of the file, encrypted if SPLIT."""

    kind: CodeKind
    number: int
    total: int
    digest: bytes
    data: str

    @property
    def text(self) -> str:
        """The text of the QR code."""
        numbers = _digits(self.number.to_bytes()) + _digits(self.total.to_bytes())
        return f"{self.kind.value}{numbers}{_digits(self.digest)}{self.data}"


@dataclass(frozen=True)
class Label:
    """Metadata in a packed file: its name (the domain) and when it was modified."""

    name: str
    modified: datetime


def parts(packed: bytes, digest: bytes, kind: CodeKind) -> list[Part]:
    """Split `packed` into as few parts as possible, of about equal length; `digest` (32 bytes) identifies the file."""
    text = base64.b32encode(packed).decode()
    total = -(-len(text) // CHARACTERS)
    length = -(-len(text) // total)
    return [Part(kind, index + 1, total, digest, text[index * length : (index + 1) * length]) for index in range(total)]


def read_part(text: str) -> Part | None:
    """Parse the text of a QR code; None if it is not the appliance's."""
    found = TEXT.fullmatch(text)
    if not found:
        return None
    kind, number, total, digest, data = found.groups()
    part = Part(CodeKind(kind), _bytes(number)[0], _bytes(total)[0], _bytes(digest), data)
    return part if 1 <= part.number <= part.total else None


def join(texts: Sequence[str]) -> bytes:
    """Decode the base32 in the concatenated `texts`. Raise DamagedCodeError."""
    text = "".join(texts).rstrip("=")
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise DamagedCodeError("the codes were read, but their content is not base32") from None


def pack(data: bytes, label: Label) -> bytes:
    """Gzip `data` to a multiple of five bytes. Raise RefusedError if it is empty or too large for paper."""
    if not data:
        raise RefusedError("the file is empty: there is nothing to print")
    body = _deflated(data)
    size = min(len(data), len(body))
    if size > MOST_BYTES:
        raise RefusedError(
            f"{len(data):,} bytes are too much for paper: compressed they are {size:,}, the limit is {MOST_BYTES:,}",
            "remove something from the file",
        )
    start = GZIP_HEADER.pack(GZIP_MAGIC, 8, NAMED | COMMENTED, int(label.modified.timestamp()), 2, 255)
    start += label.name.encode("ascii", "replace") + b"\0"
    end = struct.pack("<II", zlib.crc32(data), len(data))
    padding = -(len(start) + 1 + len(body) + len(end)) % BYTES_PER_GROUP
    return start + b"-" * padding + b"\0" + body + end


def unpack(packed: bytes) -> bytes:
    """Return the file that was packed. Raise DamagedCodeError, also if it is truncated."""
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        data = reader.decompress(packed, LARGEST_UNPACKED)
    except zlib.error:
        raise DamagedCodeError("the codes were read, but their content is damaged: its checksum differs") from None
    if not reader.eof or reader.unused_data:
        raise DamagedCodeError("the codes were read, but their content is incomplete, or has data after its end")
    return data


def read_label(packed: bytes) -> Label | None:
    """Return the label at the beginning of a packed file, such as its first part; None if there is none."""
    if len(packed) < GZIP_HEADER.size or not packed.startswith(GZIP_MAGIC):
        return None
    _, _, flags, modified, _, _ = GZIP_HEADER.unpack_from(packed)
    name = packed[GZIP_HEADER.size :].partition(b"\0")[0] if flags & NAMED and not flags & OTHER_FIELDS else b""
    return Label(name.decode(), datetime.fromtimestamp(modified, UTC)) if name.isascii() and _is_shown(name) else None


def _is_shown(name: bytes) -> bool:
    """Return whether `name` is not empty and printable: the paper it was read from is untrusted."""
    return bool(name) and name.decode("ascii").isprintable()


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    return compressor.compress(data) + compressor.flush()


def _digits(data: bytes) -> str:
    return "".join(DIGITS[byte >> shift & 3] for byte in data for shift in (6, 4, 2, 0))


def _bytes(digits: str) -> bytes:
    number = int("".join(str(DIGITS.index(digit)) for digit in digits), 4)
    return number.to_bytes(len(digits) // 4)
