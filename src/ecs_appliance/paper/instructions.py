"""The page of instructions: how to get the file back when only this paper and public tools are left."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ecs_appliance.paper.codes import DIGITS
from ecs_appliance.paper.split import COUNTER, Scheme
from ecs_appliance.paper.words import PaperWords

PICTURES = "scan*.png"
# Without D-Bus, as zbarimg sends what it reads to the bus.
READ = "DBUS_SYSTEM_BUS_ADDRESS=none zbarimg --quiet --raw -Sdisable -Sqrcode.enable"
DECODE = "LC_ALL=C sort -u | base32 -di"
# Files created after it are readable by their owner only.
PRIVATELY = "umask 077"


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of the page; a command can be typed as it is printed."""

    text: str
    kind: Literal["text", "heading", "command"] = "text"


def plain_command(pictures: str = PICTURES) -> str:
    """Return the command that reads the codes in `pictures` back to env.yml with public tools."""
    return f"{READ} {pictures} | {DECODE} | gunzip > env.yml"


def split_command(key: str, pictures: str = PICTURES) -> str:
    """Return the same command for a split file; `key` is the key in hexadecimal, recovered from the shares."""
    unlock = f"openssl enc -d -aes-256-ctr -K {key} -iv {COUNTER.hex()}"
    return f"{READ} {pictures} | grep -v SHARE | {DECODE} | {unlock} | gunzip > env.yml"


def instructions(words: PaperWords, digest: bytes, total: int, scheme: Scheme | None) -> Iterator[Paragraph]:
    """Yield the page in `words` for a file of `total` codes with this digest; `scheme` is None if it is not split."""
    yield Paragraph(words.purpose_heading, "heading")
    yield Paragraph(words.purpose)
    if scheme:
        yield Paragraph(words.one_of_shares.format(total=scheme.total, needed=scheme.needed))
    yield Paragraph(words.software_heading, "heading")
    yield Paragraph(words.software)
    yield Paragraph(words.reading_heading, "heading")
    yield Paragraph(words.scan.format(codes=f"{total} {words.codes if total > 1 else words.one_code}"))
    yield Paragraph(words.ours)
    yield Paragraph(f"appliance env scan {PICTURES} --output env.yml", "command")
    yield Paragraph(words.public)
    yield Paragraph(PRIVATELY, "command")
    yield Paragraph(words.unconnected)
    yield from _split_steps(words) if scheme else _plain_steps(words, digest)
    yield Paragraph(words.server_heading, "heading")
    yield Paragraph(words.server)
    yield Paragraph(words.code_heading, "heading")
    yield Paragraph(words.code.format(digits=", ".join(DIGITS[:-1]), last_digit=DIGITS[-1]))


def _plain_steps(words: PaperWords, digest: bytes) -> Iterator[Paragraph]:
    yield Paragraph(plain_command(), "command")
    yield Paragraph("sha256sum env.yml", "command")
    yield Paragraph(words.checksum)
    yield Paragraph(digest.hex())
    yield Paragraph(words.typing)


def _split_steps(words: PaperWords) -> Iterator[Paragraph]:
    yield Paragraph(words.scheme)
    yield Paragraph("shamir recover", "command")
    yield Paragraph(words.recover)
    yield Paragraph(split_command("KEY"), "command")
