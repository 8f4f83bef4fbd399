"""Armored OpenPGP private keys (RFC 4880), read far enough to know that a machine can use them unattended."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

ARMOR = re.compile(
    r"-----BEGIN PGP (?P<kind>[A-Z ]+) BLOCK-----[ \t]*\n(?:[A-Za-z]+: .*\n)*[ \t]*\n"
    r"(?P<body>[A-Za-z0-9+/=\s]*?)(?:\n=(?P<sum>[A-Za-z0-9+/]{4}))?\s*\n-----END PGP (?P=kind) BLOCK-----"
)
BEGIN = re.compile(r"-----BEGIN PGP ([A-Z ]+) BLOCK-----")
SECRET_KEY, PUBLIC_KEY, SECRET_SUBKEY, USER_ID = 5, 6, 7, 13
# Number of big integers in the public part of RSA (1-3), Elgamal (16), DSA (17) keys.
PUBLIC_INTEGERS = {1: 2, 2: 2, 3: 2, 16: 3, 17: 4}
ELLIPTIC = (18, 19, 22)
GNU_DUMMY = 101
CRC24_SEED, CRC24_POLYNOMIAL, CRC24_TOP, CRC24_BITS = 0xB704CE, 0x1864CFB, 0x1000000, 0xFFFFFF

DAMAGED = "this PGP block is damaged or cut off"
EXPECTED = "expected a PGP private key block: -----BEGIN PGP PRIVATE KEY BLOCK-----"


@dataclass(frozen=True)
class PrivateKey:
    """`algorithm` is its number in RFC 4880, `users` are its user ids."""

    algorithm: int
    users: tuple[str, ...]

    @property
    def is_classic(self) -> bool:
        """Whether gpg 1.4, which the application has, can use it."""
        return self.algorithm in PUBLIC_INTEGERS


def private_key(text: str) -> str:
    """One unprotected armored private key, or nothing. Raises ValueError; its message shows nothing of the key."""
    if text.strip():
        read_private_key(text)
    return text


def read_private_key(text: str) -> PrivateKey:
    """What is known of the key in `text`. Raises ValueError that says why it cannot be used."""
    packets = list(_packets(_dearmor(text)))
    if not packets or packets[0][0] != SECRET_KEY:
        raise ValueError(EXPECTED)
    for tag, body in packets:
        if tag in (SECRET_KEY, SECRET_SUBKEY):
            _check_secret(body)
    users = tuple(body.decode(errors="replace") for tag, body in packets if tag == USER_ID)
    if not users:
        raise ValueError(DAMAGED)
    return PrivateKey(packets[0][1][5], users)


def _dearmor(text: str) -> bytes:
    begun = BEGIN.search(text)
    if not begun:
        raise ValueError(EXPECTED)
    if begun[1] == "PUBLIC KEY":
        raise ValueError("this is the public key, its secret part is missing: gpg --export-secret-keys --armor")
    if begun[1] != "PRIVATE KEY":
        raise ValueError(EXPECTED)
    if len(BEGIN.findall(text)) > 1:
        raise ValueError("expected one PGP private key block, found several")
    lines = "\n".join(line.strip() for line in text.strip().splitlines())
    found = ARMOR.fullmatch(lines)
    if not found:
        raise ValueError(DAMAGED)
    return _decode(found["body"], found["sum"])


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


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, body) of each packet."""
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


def _header(data: bytes, position: int) -> tuple[int, int, int]:
    """(tag, length of the body, where it starts), of the old and the new packet format."""
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


def _check_secret(body: bytes) -> None:
    """The secret part of a version 4 key packet is there and not protected."""
    if len(body) < 8 or body[0] != 4:  # noqa: PLR2004 # version, time, algorithm, one length
        raise ValueError("expected a version 4 OpenPGP key")
    rest = body[_end_of_public(body) :]
    if len(rest) < 3:  # noqa: PLR2004
        raise ValueError(DAMAGED)
    if rest[0] in (254, 255) and rest[2] == GNU_DUMMY:
        raise ValueError("the secret part of this PGP key is missing (it is kept elsewhere)")
    if rest[0] != 0:
        raise ValueError("this PGP key has a passphrase, and nobody is there to type it: export it without")


def _end_of_public(body: bytes) -> int:
    algorithm, position = body[5], 6
    integers = PUBLIC_INTEGERS.get(algorithm)
    if algorithm in ELLIPTIC:
        position, integers = position + 1 + body[position], 1
    if integers is None:
        raise ValueError("this PGP key is of an unknown kind: RSA is known everywhere")
    for _ in range(integers):
        position += 2 + (int.from_bytes(body[position : position + 2], "big") + 7) // 8
    if algorithm == ELLIPTIC[0]:
        position += 1 + int.from_bytes(body[position : position + 1], "big")
    return position
