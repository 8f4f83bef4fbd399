"""The last page: how to get the file back in ten years, when nothing is left but this paper and public tools."""

from collections.abc import Iterator
from dataclasses import dataclass

from ecs_appliance.paper.codes import DIGITS
from ecs_appliance.paper.split import COUNTER, Scheme

READ = "zbarimg --quiet --raw -Sdisable -Sqrcode.enable scan*.png"
DECODE = "LC_ALL=C sort -u | base32 -di"


@dataclass(frozen=True)
class Paragraph:
    """A piece of the page; a command is set apart, and may be typed as it stands."""

    text: str
    is_command: bool = False


def plain_commands(pictures: str = "scan*.png") -> str:
    """The command that reads codes back to the file with public tools alone."""
    return f"{READ.replace('scan*.png', pictures)} | {DECODE} | gunzip > env.yml"


def split_commands(key: str, pictures: str = "scan*.png") -> str:
    """The same for a file that was split; `key` is the secret in hex, which the shares give."""
    read = READ.replace("scan*.png", pictures)
    unlock = f"openssl enc -d -aes-256-ctr -K {key} -iv {COUNTER.hex()}"
    return f"{read} | grep -v SHARE | {DECODE} | {unlock} | gunzip > env.yml"


def instructions(digest: bytes, total: int, scheme: Scheme | None) -> Iterator[Paragraph]:
    """The page for a file of `total` codes with this digest, split by `scheme` if there is one."""
    yield Paragraph(
        f"Scan the pages with codes at 300 dpi, or photograph each: {total} code{'s' if total > 1 else ''} in all. "
        "Order and direction do not matter, nor do pages scanned twice."
    )
    if scheme:
        yield Paragraph(
            f"This is one of {scheme.total} shares. Bring the pages of any {scheme.needed} shares together: of fewer, "
            "nothing can be read. The codes of the file are the same on all of them; only the words differ."
        )
    yield Paragraph("With the ecs-appliance")
    yield Paragraph("appliance env scan scan*.png --output env.yml", is_command=True)
    yield Paragraph("Without it, with public tools (Debian: apt-get install zbar-tools)")
    yield from _split_steps() if scheme else _plain_steps(digest)
    yield Paragraph("What a code holds, should a tool be missing")
    yield Paragraph(
        f"137 characters of {', '.join(DIGITS[:-1])} and {DIGITS[-1]}, which stand for the digits 0, 1, 2 and 3: the "
        "kind (0: the file, 1: the file encrypted, for shares), the number of the code and their count with four "
        "digits each in base 4, and the SHA-256 with 128. After them a part of the base32 (RFC 4648) of the gzip (RFC "
        "1952) of the file. Base32 has none of these characters: lines are sorted by them, and base32 -i skips them."
    )


def _plain_steps(digest: bytes) -> Iterator[Paragraph]:
    yield Paragraph(plain_commands(), is_command=True)
    yield Paragraph("sha256sum env.yml", is_command=True)
    yield Paragraph("The last must say what stands on top of each page with codes:")
    yield Paragraph(digest.hex())
    yield Paragraph("Where codes cannot be read any more, the pages before them have the text to type.")


def _split_steps() -> Iterator[Paragraph]:
    yield Paragraph("The words are of SLIP-39, a published scheme (Python: pip install 'shamir-mnemonic[cli]').")
    yield Paragraph("shamir recover", is_command=True)
    yield Paragraph("asks for the words, needs no passphrase, and prints the secret; put it in place of KEY:")
    yield Paragraph(split_commands("KEY"), is_command=True)
