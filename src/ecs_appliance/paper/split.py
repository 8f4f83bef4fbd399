"""k of n: encrypts the file and splits its key into shares by Shamir's scheme, as specified in SLIP-39.

Every set of sheets has the whole encrypted file and one share, as words. Any k shares give the key; fewer, nothing.
"""

import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations, islice

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from shamir_mnemonic import MnemonicError, combine_mnemonics, generate_mnemonics

from ecs_appliance.core.errors import ApplianceError, RefusedError

KEY_BYTES = 32
# A constant is safe because each key encrypts only one file.
COUNTER = bytes(16)
FEWEST_NEEDED, MOST_SHARES = 2, 16
# 16 choose 8, the largest possible number.
MOST_COMBINATIONS = 12_870
SCHEME = re.compile(r"([0-9]{1,2})of([0-9]{1,2})")
DIGEST_CHARACTERS = 16
TEXT = re.compile(r"SHARE ([0-9]+)/([0-9]+) NEEDS ([0-9]+) OF ([0-9A-F]{16}) ([A-Z]+(?: [A-Z]+)+)")


@dataclass(frozen=True)
class Scheme:
    """`needed` of `total` shares recover the key."""

    needed: int
    total: int


@dataclass(frozen=True, repr=False)
class Share:
    """Share `number` (from 1) of a key, as SLIP-39 words; `digest` identifies the file that the key decrypts."""

    number: int
    scheme: Scheme
    digest: str
    words: str

    @property
    def text(self) -> str:
        """The text of its QR code."""
        scheme = self.scheme
        return f"SHARE {self.number}/{scheme.total} NEEDS {scheme.needed} OF {self.digest} {self.words.upper()}"


def read_scheme(text: str) -> Scheme:
    """Parse a scheme such as `2of3`. Raise RefusedError."""
    found = SCHEME.fullmatch(text)
    if found and FEWEST_NEEDED <= int(found[1]) <= int(found[2]) <= MOST_SHARES:
        return Scheme(int(found[1]), int(found[2]))
    raise RefusedError(
        f"{text} is not a valid split", f"use KofN, such as 2of3: K from {FEWEST_NEEDED}, N up to {MOST_SHARES}"
    )


def read_share(text: str) -> Share | None:
    """Parse the text of a QR code as a share; None if it is not one."""
    found = TEXT.fullmatch(text)
    if not found:
        return None
    number, total, needed, digest, words = found.groups()
    return Share(int(number), Scheme(int(needed), int(total)), digest, words.lower())


def encrypt(data: bytes) -> tuple[bytes, bytes]:
    """Encrypt `data` by AES-256 in counter mode; return the ciphertext, of the same length, and the new key."""
    key = secrets.token_bytes(KEY_BYTES)
    return _crypted(data, key), key


def make_shares(key: bytes, scheme: Scheme, digest: bytes) -> list[Share]:
    """Split `key` into shares; `digest` is the SHA-256 of the encrypted file."""
    words = generate_mnemonics(1, [(scheme.needed, scheme.total)], key)[0]
    opens = short(digest)
    return [Share(number, scheme, opens, mnemonic) for number, mnemonic in enumerate(words, 1)]


def decrypt(data: bytes, shares: Sequence[Share]) -> bytes:
    """Decrypt `data` with at least as many shares as needed, some of which may have been misread.

    Raise ApplianceError if no combination of them is valid.
    """
    for some in islice(combinations(shares, shares[0].scheme.needed), MOST_COMBINATIONS):
        with suppress(MnemonicError):
            return _crypted(data, combine_mnemonics([share.words for share in some]))
    raise ApplianceError(
        "the shares do not match: one was misread, or belongs to another set", "scan their first pages again"
    )


def short(digest: bytes) -> str:
    """Return the beginning of a digest in hex, which identifies the file on a share."""
    return digest.hex().upper()[:DIGEST_CHARACTERS]


def _crypted(data: bytes, key: bytes) -> bytes:
    """Encrypt or decrypt; in counter mode, this is the same."""
    encryptor = Cipher(AES(key), CTR(COUNTER)).encryptor()
    return encryptor.update(data) + encryptor.finalize()
