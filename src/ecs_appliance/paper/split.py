"""k of n: the file is encrypted, and its key is split into shares by Shamir's scheme as SLIP-39 publishes it.

Every sheet has all of the encrypted file and one share as words. Any k shares give the key; fewer tell nothing of it.
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
# A key encrypts one file once: there is nothing to tell apart by another beginning.
COUNTER = bytes(16)
FEWEST_NEEDED, MOST_SHARES = 2, 16
# All of 16 shares, half of which are needed.
MOST_COMBINATIONS = 12_870
SCHEME = re.compile(r"([0-9]{1,2})of([0-9]{1,2})")
DIGEST_CHARACTERS = 16
TEXT = re.compile(r"SHARE ([0-9]+)/([0-9]+) NEEDS ([0-9]+) OF ([0-9A-F]{16}) ([A-Z]+(?: [A-Z]+)+)")


@dataclass(frozen=True)
class Scheme:
    """`needed` of `total` shares recover."""

    needed: int
    total: int


@dataclass(frozen=True, repr=False)
class Share:
    """Share `number` (from 1) of a key, as the words of SLIP-39; `digest` leads to the file that the key opens."""

    number: int
    scheme: Scheme
    digest: str
    words: str

    @property
    def text(self) -> str:
        """What its QR code holds."""
        scheme = self.scheme
        return f"SHARE {self.number}/{scheme.total} NEEDS {scheme.needed} OF {self.digest} {self.words.upper()}"


def read_scheme(text: str) -> Scheme:
    """What `2of3` says. Raises RefusedError."""
    found = SCHEME.fullmatch(text)
    if found and FEWEST_NEEDED <= int(found[1]) <= int(found[2]) <= MOST_SHARES:
        return Scheme(int(found[1]), int(found[2]))
    raise RefusedError(
        f"{text} is no way to split", f"say KofN, as 2of3: K from {FEWEST_NEEDED}, N up to {MOST_SHARES}"
    )


def read_share(text: str) -> Share | None:
    """The share that the text of a QR code is; None where it is none."""
    found = TEXT.fullmatch(text)
    if not found:
        return None
    number, total, needed, digest, words = found.groups()
    return Share(int(number), Scheme(int(needed), int(total)), digest, words.lower())


def encrypt(data: bytes) -> tuple[bytes, bytes]:
    """`data` by AES-256 in counter mode, just as long as it was, and its new key."""
    key = secrets.token_bytes(KEY_BYTES)
    return _crypted(data, key), key


def make_shares(key: bytes, scheme: Scheme, digest: bytes) -> list[Share]:
    """The shares of `key`; `digest` is that of what it opens."""
    words = generate_mnemonics(1, [(scheme.needed, scheme.total)], key)[0]
    opens = short(digest)
    return [Share(number, scheme, opens, mnemonic) for number, mnemonic in enumerate(words, 1)]


def decrypt(data: bytes, shares: Sequence[Share]) -> bytes:
    """What was encrypted, given at least as many shares as are needed, of which some may have been misread.

    Raises ApplianceError where too few of them go together.
    """
    for some in islice(combinations(shares, shares[0].scheme.needed), MOST_COMBINATIONS):
        with suppress(MnemonicError):
            return _crypted(data, combine_mnemonics([share.words for share in some]))
    raise ApplianceError(
        "the shares do not go together: one was misread, or is of another set", "scan their first pages again"
    )


def short(digest: bytes) -> str:
    """The beginning of a digest, by which a share tells what it is of."""
    return digest.hex().upper()[:DIGEST_CHARACTERS]


def _crypted(data: bytes, key: bytes) -> bytes:
    """Counter mode is its own inverse."""
    encryptor = Cipher(AES(key), CTR(COUNTER)).encryptor()
    return encryptor.update(data) + encryptor.finalize()
