"""Read gpgkeys.txt, a sequence of armored public keys, and report everything in it that gpg would silently skip."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ecs_appliance.env.pgp_packets import (
    DAMAGED,
    PUBLIC_KEY,
    SECRET_KEY,
    SECRET_SUBKEY,
    USER_ID,
    dearmor,
    end_of_public,
    fingerprint,
    packets,
)

FILE_NAME = "gpgkeys.txt"
KIND = "PUBLIC KEY BLOCK"
BOUNDARY = re.compile(r"-----(BEGIN|END) PGP ([^-]+)-----")
# A line of armor has 64 characters; a fingerprint, which may appear in a comment, has 40.
STRAY = re.compile(r"[A-Za-z0-9+/=]{60,}")
NONE = f"contains no PGP public key: gpg --armor --export NAME >> {FILE_NAME}"

Packets = Sequence[tuple[int, bytes]]


@dataclass(frozen=True)
class Recipient:
    """A primary key: `fingerprint` in hexadecimal, `user` its first user id with only printable characters."""

    fingerprint: str
    user: str = ""

    def __str__(self) -> str:
        return f"{self.fingerprint} {self.user or 'without a user id'}"


@dataclass(frozen=True)
class KeyFile:
    """The valid blocks (`material`) and the keys in them; each of `problems` begins with its line number."""

    material: bytes
    recipients: tuple[Recipient, ...]
    problems: tuple[str, ...]


def read_keys(data: bytes) -> KeyFile:
    """Read `data`, the content of gpgkeys.txt; return each primary key once, and all problems."""
    recipients: dict[str, Recipient] = {}
    material = b""
    problems = []
    for line, text in _blocks(data.decode(errors="replace")):
        try:
            block, owners = _read_block(text)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        material += block
        for owner in owners:
            recipients.setdefault(owner.fingerprint, owner)
    if not recipients and not problems:
        problems.append(NONE)
    return KeyFile(material, tuple(recipients.values()), tuple(problems))


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield first line number and text of each block, complete or not, and of each line of key data outside one."""
    begun, lines = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        bound = BOUNDARY.fullmatch(line.strip())
        if bound and bound[1] == "BEGIN":
            if lines:
                yield begun, "\n".join(lines)
            begun, lines = number, [line]
        elif lines:
            lines.append(line)
            if bound:
                yield begun, "\n".join(lines)
                lines = []
        elif bound or STRAY.fullmatch(line.strip()):
            yield number, line
    if lines:
        yield begun, "\n".join(lines)


def _read_block(text: str) -> tuple[bytes, list[Recipient]]:
    """Return the block's data and its primary keys. Raise ValueError if it contains anything but public keys."""
    bound = BOUNDARY.match(text.strip())
    if not bound:
        raise ValueError(DAMAGED)
    if bound[2] not in (KIND, "PRIVATE KEY BLOCK"):
        raise ValueError(f"expected a {KIND}, found a {bound[2]}")
    data = dearmor(text)
    found = list(packets(data))
    if any(tag in (SECRET_KEY, SECRET_SUBKEY) for tag, _ in found):
        raise ValueError(f"this is the private key{_name_private(found)}: only public keys belong here")
    if not found or found[0][0] != PUBLIC_KEY or bound[2] != KIND:
        raise ValueError(f"expected a {KIND}, found one without a public key")
    return data, list(_owners(found))


def _owners(found: Packets) -> Iterator[Recipient]:
    starts = [index for index, (tag, _) in enumerate(found) if tag in (PUBLIC_KEY, SECRET_KEY)]
    for start, end in zip(starts, [*starts[1:], len(found)], strict=True):
        tag, body = found[start]
        public = body if tag == PUBLIC_KEY else body[: end_of_public(body)]
        users = [body for tag, body in found[start:end] if tag == USER_ID]
        yield Recipient(fingerprint(public), _shown(users[0]) if users else "")


def _name_private(found: Packets) -> str:
    try:
        return "".join(f" {owner}" for owner in _owners(found))
    except (ValueError, IndexError):
        return ""


def _shown(user: bytes) -> str:
    return "".join(character if character.isprintable() else "?" for character in user.decode(errors="replace"))
