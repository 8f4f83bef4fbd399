"""Compare `appliance env package` and `env scan` with the tools that the predecessor used for the same purpose.

Run it from the checkout: ./.venv/bin/python -m benchmarks.paper
Needs the Debian packages enscript, ghostscript, imagemagick, qrencode and zbar-tools. Goals: a package of 15 KB, with
verification, within 3 s; 8 pages scanned at 300 dpi within 5 s.
"""

import shlex
import tempfile
from contextlib import closing
from pathlib import Path
from random import Random

import pypdfium2

from benchmarks.measure import LIMIT, interleave, show
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.paper.instructions import plain_command
from ecs_appliance.paper.pictures import DOTS_PER_INCH, POINTS_PER_INCH

ROUNDS = 9
APPLIANCE = Path(__file__).parents[1] / "appliance"
# Codes of 2,100 characters, four per page, and the text; no page with instructions.
PRINTED = """\
set -eu
cd {folder}
rm -rf old && mkdir old && cd old
gzip --best --stdout ../env.yml | base32 --wrap=0 | split --suffix-length=2 --numeric-suffixes --bytes=2100 - code.
for code in code.*; do
    printf '%s %s' "${{code#code.}}" "$(cat "$code")" | qrencode -l M -i -s 6 -o "$code.png"
done
montage -label %t code.*.png -geometry +20+20 -tile 2x2 page.png
enscript --quiet --no-header --line-numbers --output=- ../env.yml | ps2pdf -sPAPERSIZE=a4 - text.pdf
"""
# The equivalent of our verification.
PROVEN = """\
zbarimg --quiet --nodbus --raw -Sdisable -Sqrcode.enable page*.png |
    sort | cut -c 4- | tr -d '\\n' | base32 -d | gunzip > new
cmp new ../env.yml
"""
# 32 codes.
EIGHT_PAGES = 41_500


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare_packaging(folder)
        compare_scanning(folder)


def compare_packaging(folder: Path) -> None:
    """Put a new env.yml on paper and on a disc."""
    file = folder / "env.yml"
    SystemRunner().run([APPLIANCE, "env", "create", "ecs.example.org", file], timeout=LIMIT)
    printed = PRINTED.format(folder=shlex.quote(str(folder)))
    seconds = interleave(
        {
            "appliance env package": lambda _: [APPLIANCE, "env", "package", file],
            "qrencode, montage, …": lambda _: ["sh", "-c", printed],
            "… and zbarimg": lambda _: ["sh", "-c", printed + PROVEN],
        },
        ROUNDS,
    )
    print(f"a package of {file.stat().st_size:,} bytes; {ROUNDS} rounds, interleaved; seconds")
    show(seconds, beside="qrencode, montage, …")


def compare_scanning(folder: Path) -> None:
    """Scan eight pages with four codes each, as PNG files at 300 dpi."""
    file = folder / "large"
    file.write_bytes(Random(0).randbytes(EIGHT_PAGES))
    SystemRunner().run([APPLIANCE, "env", "package", "--unchecked", file], timeout=LIMIT)
    scans = scan_codes(folder / "large.pdf")
    zbarimg = f"cd {shlex.quote(str(folder))} && {plain_command()} && cmp env.yml large"
    seconds = interleave(
        {
            "appliance env scan": lambda n: [APPLIANCE, "env", "scan", *scans, "--output", folder / f"{n}.yml"],
            "zbarimg | sort | …": lambda _: ["sh", "-c", zbarimg],
        },
        ROUNDS,
    )
    assert all((folder / f"{number}.yml").read_bytes() == file.read_bytes() for number in range(ROUNDS))
    print(f"{len(scans)} pages at {DOTS_PER_INCH} dpi; {ROUNDS} rounds, interleaved; seconds")
    show(seconds, beside="zbarimg | sort | …")


def scan_codes(pdf: Path) -> list[Path]:
    """Save the eight pages before the last of `pdf` as pictures next to it, and return their paths."""
    scans = []
    with closing(pypdfium2.PdfDocument(pdf)) as document:
        for number in range(len(document) - 9, len(document) - 1):
            scans.append(pdf.with_name(f"scan{number}.png"))
            document[number].render(scale=DOTS_PER_INCH / POINTS_PER_INCH, grayscale=True).to_pil().save(scans[-1])
    return scans


if __name__ == "__main__":
    main()
