"""Read the paper with public tools, following its last page; and read the predecessor's, made with such tools."""

import gzip
import io
import re
import stat
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.paper.codes import MOST_BYTES
from ecs_appliance.paper.scan import scan
from ecs_appliance.paper.split import Scheme
from tests.integration.paper.scans import code_pages, documents, saved
from tests.papers import make_paper, make_shared_papers, noise, old_codes_of

RUNNER = SystemRunner()
# A command on the last page is indented by a space, and may continue after a backslash.
COMMAND = re.compile(r"^ (?:.*\\\r?\n)*.*$", re.MULTILINE)
WORD = re.compile(r"^ ?(\d+) +([a-z]+)\s*$", re.MULTILINE)
# The predecessor's limit for a single code, which then has no number.
MOST_ALONE = 2_111
GZIP_OVERHEAD = 64


def printed(pdf: bytes) -> list[str]:
    """Return the text of each page, as a person would type it."""
    with closing(pypdfium2.PdfDocument(pdf)) as document:
        return [page.get_textpage().get_text_range() for page in document]


def commands(pdf: bytes) -> list[str]:
    """Return the commands of the last page, from the top."""
    return [found.strip().replace("\r", "") for found in COMMAND.findall(printed(pdf)[-1])]


def shell(command: str, folder: Path) -> str:
    return RUNNER.run(["sh", "-c", command], cwd=folder, timeout=50).stdout


def read_as_told(pdf: bytes, pages: Sequence[Image.Image], folder: Path) -> bytes:
    """Recover `pages` by the commands of the last page, except the first one, which is our own."""
    saved(pages, folder)
    checksum = shell("\n".join(commands(pdf)[1:]), folder).split()[0]
    assert checksum in printed(pdf)[-1]
    assert stat.S_IMODE((folder / "env.yml").stat().st_mode) == 0o600
    return (folder / "env.yml").read_bytes()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("size", "dpi"), [(1, 300), (2_111, 300), (2_112, 300), (4_096, 300), (MOST_BYTES, 150)])
def test_four_public_tools_give_the_same_bytes(size: int, dpi: int, tmp_path: Path) -> None:
    pdf = make_paper(noise(size))
    assert read_as_told(pdf, code_pages(pdf, dpi), tmp_path) == noise(size)


def test_in_any_order_and_direction_and_twice(env: bytes, tmp_path: Path) -> None:
    pdf = make_paper(env)
    first, *others = code_pages(pdf)
    assert read_as_told(pdf, [*others, first.rotate(90, expand=True), *others, first], tmp_path) == env


def test_two_of_three_shares(env: bytes, tmp_path: Path) -> None:
    pdfs = list(make_shared_papers(env, Scheme(2, 3)).values())[1:]
    share_pages = [page for pdf in pdfs for page in code_pages(pdf)[:1]]
    saved([*code_pages(pdfs[0]), *share_pages], tmp_path)
    words = [" ".join(word for _, word in sorted(WORD.findall(printed(pdf)[0]), key=number)) for pdf in pdfs]
    *_, shamir, read = commands(pdfs[0])
    program, *arguments = shamir.split()
    told = RUNNER.run([Path(sys.executable).with_name(program), *arguments], input="\n".join(words), timeout=60).stdout
    key = told.strip().rpartition(" ")[2]
    shell(read.replace("KEY", key), tmp_path)
    assert (tmp_path / "env.yml").read_bytes() == env


def number(found: tuple[str, str]) -> int:
    return int(found[0])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("size", [1, 1_290, 1_300, 2_111, 2_112, 4_096, MOST_BYTES - GZIP_OVERHEAD])
def test_the_predecessors_paper_is_read(size: int, tmp_path: Path) -> None:
    check_old_paper(noise(size), 2100, tmp_path)


@pytest.mark.parametrize("characters", [2100, 1826])
def test_the_predecessors_paper_of_a_real_file_is_read(characters: int, env: bytes, tmp_path: Path) -> None:
    check_old_paper(env, characters, tmp_path)


def check_old_paper(data: bytes, characters: int, folder: Path) -> None:
    pages = old_pages(old_texts(gzip.compress(data), characters))
    scan(documents(saved(pages[::-1], folder)), folder / "env.yml")
    assert (folder / "env.yml").read_bytes() == data


def old_texts(packed: bytes, characters: int) -> list[str]:
    texts = old_codes_of(packed, characters)
    alone = "".join(text.partition(" ")[2] for text in texts)
    return [alone] if len(alone) <= MOST_ALONE else texts


def old_pages(texts: Sequence[str]) -> list[Image.Image]:
    """Return pages of four codes each, drawn by qrencode."""
    codes = [qrencode(text) for text in texts]
    side = max(code.width for code in codes)
    pages = []
    for start in range(0, len(codes), 4):
        page = Image.new("L", (2 * side, 2 * side), "white")
        for index, code in enumerate(codes[start : start + 4]):
            page.paste(code, (index % 2 * side, index // 2 * side))
        pages.append(page)
    return pages


def qrencode(text: str) -> Image.Image:
    png = RUNNER.run(["qrencode", "-l", "M", "-i", "-s", "4", "-o", "-"], input=text, timeout=10).raw
    return Image.open(io.BytesIO(png)).convert("RGBA").convert("L")
