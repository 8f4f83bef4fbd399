"""Parses OpenPGP armor and packets (RFC 4880) as far as needed to identify a key."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

BEGIN = re.compile(r"-----BEGIN PGP ([A-Z ]+) BLOCK-----")
ARMOR = re.compile(
    r"-----BEGIN PGP (?P<kind>[A-Z ]+) BLOCK-----[ \t]*\n(?:[A-Za-z]+: .*\n)*[ \t]*\n"
    r"(?P<body>[A-Za-z0-9+/=\s]*?)(?:\n=(?P<sum>[A-Za-z0-9+/]{4}))?\s*\n-----END PGP (?P=kind) BLOCK-----"
)
SESSION_KEY, SECRET_KEY, PUBLIC_KEY, SECRET_SUBKEY, USER_ID = 1, 5, 6, 7, 13
# Number of MPIs in the public part of RSA (1-3), Elgamal (16) and DSA (17) keys.
PUBLIC_INTEGERS = {1: 2, 2: 2, 3: 2, 16: 3, 17: 4}
ELLIPTIC = (18, 19, 22)
# Fingerprint by key version: hash, first byte, width of the length.
FINGERPRINTS = {4: ("sha1", b"\x99", 2), 5: ("sha256", b"\x9a", 4), 6: ("sha256", b"\x9b", 4)}
CRC24_SEED, CRC24_POLYNOMIAL, CRC24_TOP, CRC24_BITS = 0xB704CE, 0x1864CFB, 0x1000000, 0xFFFFFF

DAMAGED = "this PGP block is damaged or cut off"


def dearmor(text: str) -> bytes:
    """Return the contents of one armored block of any kind. Raise ValueError if it is damaged."""
    lines = "\n".join(line.strip() for line in text.strip().splitlines())
    found = ARMOR.fullmatch(lines)
    if not found:
        raise ValueError(DAMAGED)
    return _decode(found["body"], found["sum"])


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, body) of each packet. Raise ValueError if one is damaged or has partial lengths (keys never do)."""
    position = 0
    while position < len(data):
        header = data[position]
        if not header & 0x80:
            raise ValueError(DAMAGED)
        tag, length, start = _header(data, position)
        if start + length > len(data):
            raise ValueError(DAMAGED)
        yield tag, data[start : start + length]
        position = start + length


def end_of_public(body: bytes) -> int:
    """Return the end of the public part of the version 4 key packet `body`. Raise ValueError for unknown algorithms."""
    algorithm, position = body[5], 6
    integers = PUBLIC_INTEGERS.get(algorithm)
    if algorithm in ELLIPTIC:
        position, integers = position + 1 + body[position], 1
    if integers is None:
        raise ValueError("this PGP key has an unknown algorithm: use RSA")
    for _ in range(integers):
        position += 2 + (int.from_bytes(body[position : position + 2], "big") + 7) // 8
    if algorithm == ELLIPTIC[0]:
        position += 1 + int.from_bytes(body[position : position + 1], "big")
    return position


def fingerprint(body: bytes) -> str:
    """Return the fingerprint (hex) of the public key packet `body`. Raise ValueError for an unknown version."""
    if not body or body[0] not in FINGERPRINTS:
        raise ValueError("this PGP key has an unknown version")
    algorithm, lead, width = FINGERPRINTS[body[0]]
    return hashlib.new(algorithm, lead + len(body).to_bytes(width, "big") + body).hexdigest().upper()


def _decode(body: str, checksum: str | None) -> bytes:
    try:
        data = base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error:
        raise ValueError(DAMAGED) from None
    if checksum is not None and _crc24(data).to_bytes(3, "big") != base64.b64decode(checksum):
        raise ValueError("this PGP block is damaged: its checksum does not match")
    return data


def _crc24(data: bytes) -> int:
    crc = CRC24_SEED
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & CRC24_TOP:
                crc ^= CRC24_POLYNOMIAL
    return crc & CRC24_BITS


def _header(data: bytes, position: int) -> tuple[int, int, int]:
    """Return (tag, length of the body, start of the body) of an old or new format packet header."""
    header, rest = data[position], data[position + 1 : position + 6]
    if not header & 0x40:
        width = (1, 2, 4, 0)[header & 3]
        length = int.from_bytes(rest[:width], "big") if width else len(data) - position - 1
        return (header >> 2) & 15, length, position + 1 + width
    if len(rest) < 2 or 224 <= rest[0] < 255:  # noqa: PLR2004 # partial lengths, which keys never have
        raise ValueError(DAMAGED)
    if rest[0] < 192:  # noqa: PLR2004
        return header & 63, rest[0], position + 2
    if rest[0] < 224:  # noqa: PLR2004
        return header & 63, ((rest[0] - 192) << 8) + rest[1] + 192, position + 3
    return header & 63, int.from_bytes(rest[1:5], "big"), position + 6
