"""The last page: how to get the file back in ten years, when nothing is left but this paper and public tools."""

from collections.abc import Iterator
from dataclasses import dataclass

from ecs_appliance.paper.codes import DIGITS
from ecs_appliance.paper.split import COUNTER, Scheme
from ecs_appliance.paper.text import HOW_TO_TYPE

PICTURES = "scan*.png"
# Without a bus: zbarimg tells everybody who listens there what it reads.
READ = "DBUS_SYSTEM_BUS_ADDRESS=none zbarimg --quiet --raw -Sdisable -Sqrcode.enable"
DECODE = "LC_ALL=C sort -u | base32 -di"
# What is written next belongs to its owner alone.
PRIVATELY = "umask 077"


@dataclass(frozen=True)
class Paragraph:
    """A piece of the page; a command is set apart, and may be typed as it stands."""

    text: str
    is_command: bool = False


def plain_command(pictures: str = PICTURES) -> str:
    """What reads the codes in `pictures` back to env.yml with public tools alone."""
    return f"{READ} {pictures} | {DECODE} | gunzip > env.yml"


def split_command(key: str, pictures: str = PICTURES) -> str:
    """The same for a file that was split; `key` is the secret in hexadecimal, which the shares give."""
    unlock = f"openssl enc -d -aes-256-ctr -K {key} -iv {COUNTER.hex()}"
    return f"{READ} {pictures} | grep -v SHARE | {DECODE} | {unlock} | gunzip > env.yml"


def instructions(digest: bytes, total: int, scheme: Scheme | None) -> Iterator[Paragraph]:
    """The page for a file of `total` codes with this digest, split by `scheme` if there is one."""
    yield Paragraph(
        f"Scan the pages with codes at 300 dpi, or photograph each: {total} code{'s' if total > 1 else ''} in all. "
        "Order and direction do not matter, nor do pages scanned twice; but all must have the same date on top."
    )
    if scheme:
        yield Paragraph(
            f"This is one of {scheme.total} shares. Bring the pages of any {scheme.needed} shares together: of fewer, "
            "nothing can be read. The codes of the file are the same on all of them; only the words differ."
        )
    yield Paragraph("With the ecs-appliance")
    yield Paragraph(f"appliance env scan {PICTURES} --output env.yml", is_command=True)
    yield Paragraph("Without it, with public tools (Debian: apt-get install zbar-tools)")
    yield Paragraph(PRIVATELY, is_command=True)
    yield Paragraph("zbarimg will complain that it has no connection: it would tell every program what it reads.")
    yield from _split_steps() if scheme else _plain_steps(digest)
    yield Paragraph("What a code holds, should a tool be missing")
    yield Paragraph(
        f"137 characters of {', '.join(DIGITS[:-1])} and {DIGITS[-1]}, which stand for the digits 0, 1, 2 and 3: the "
        "kind (0: the file, 1: the file encrypted, for shares), the number of the code and their count with four "
        "digits each in base 4, and the SHA-256 with 128. After them a part of the base32 (RFC 4648) of the gzip (RFC "
        "1952) of the file. Base32 has none of these characters: lines are sorted by them, and base32 -i skips them."
    )


def _plain_steps(digest: bytes) -> Iterator[Paragraph]:
    yield Paragraph(plain_command(), is_command=True)
    yield Paragraph("sha256sum env.yml", is_command=True)
    yield Paragraph("The last must say what stands on top of each page with codes:")
    yield Paragraph(digest.hex())
    yield Paragraph(f"Where codes cannot be read any more, type the text of the first pages. {HOW_TO_TYPE}")


def _split_steps() -> Iterator[Paragraph]:
    yield Paragraph(
        "The words are of SLIP-39, a published scheme (Python: pip install 'shamir-mnemonic[cli]'). Use a machine that "
        "is yours alone: the secret stands in its command lines."
    )
    yield Paragraph("shamir recover", is_command=True)
    yield Paragraph("asks for the words, needs no passphrase, and prints the secret; put it in place of KEY:")
    yield Paragraph(split_command("KEY"), is_command=True)
