"""Sheets as scanners and phones return them after years: damaged, in any order, in any kind of file."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from benchmarks.distortions import DISTORTIONS, HARDER, Sheet, distorted, sheets
from ecs_appliance.paper.scan import scan
from tests.integration.paper.scans import code_pages, documents, saved
from tests.papers import make_paper, noise

# As many codes as a real env.yml has: eight, on two sheets.
DATA = noise(10_300)
TRIPLES = list(itertools.combinations(DISTORTIONS, 3))

Save = Callable[[Sequence[Image.Image], Path], Sequence[Path]]


@pytest.fixture(scope="module")
def paper() -> bytes:
    """Return the PDF of DATA."""
    return make_paper(DATA)


@pytest.fixture(scope="module")
def both(paper: bytes) -> list[Sheet]:
    """Return its two sheets with codes, at 300 dpi."""
    return list(sheets(paper, 300))


def read_back(files: Sequence[Path], folder: Path) -> bytes:
    """Return what `appliance env scan` recovers from `files`."""
    scan(documents(files), folder / "env.yml")
    return (folder / "env.yml").read_bytes()


@pytest.mark.parametrize("damage", [*DISTORTIONS, *HARDER])
def test_any_damage_alone(damage: str, both: list[Sheet], tmp_path: Path) -> None:
    pictures = [distorted(sheet, [damage], Random(f"{damage} {number}")) for number, sheet in enumerate(both)]
    assert read_back(saved(pictures[::-1], tmp_path), tmp_path) == DATA


@pytest.mark.parametrize("names", Random(3).sample(TRIPLES, 6), ids=", ".join)
def test_three_at_once(names: Sequence[str], both: list[Sheet], tmp_path: Path) -> None:
    pictures = [distorted(sheet, names, Random(f"{names} {number}")) for number, sheet in enumerate(both)]
    assert read_back(saved(pictures, tmp_path), tmp_path) == DATA


@pytest.mark.parametrize("dpi", [150, 300, 600])
def test_resolutions(dpi: int, paper: bytes, tmp_path: Path) -> None:
    assert read_back(saved(code_pages(paper, dpi), tmp_path), tmp_path) == DATA


def one_each(ending: str, **options: Any) -> Save:
    """Return a function that saves each page to its own file."""

    def save(pages: Sequence[Image.Image], folder: Path) -> Sequence[Path]:
        files = [folder / f"{number}.{ending}" for number in range(len(pages))]
        for page, file in zip(pages, files, strict=True):
            page.save(file, **options)
        return files

    return save


def all_in_one(ending: str) -> Save:
    """Return a function that saves all pages to one file."""

    def save(pages: Sequence[Image.Image], folder: Path) -> Sequence[Path]:
        file = folder / f"all.{ending}"
        pages[0].save(file, save_all=True, append_images=pages[1:], resolution=150)
        return [file]

    return save


KINDS_OF_FILES: dict[str, Save] = {
    "PNG": one_each("png"),
    "JPEG": one_each("jpg"),
    "TIFF": one_each("tif"),
    "HEIC": one_each("heic", enc_params={"preset": "ultrafast"}),
    "TIFF of all pages": all_in_one("tif"),
    "PDF of scans": all_in_one("pdf"),
}


@pytest.mark.parametrize("kind", KINDS_OF_FILES)
def test_kinds_of_files(kind: str, paper: bytes, tmp_path: Path) -> None:
    assert read_back(KINDS_OF_FILES[kind](code_pages(paper, 150), tmp_path), tmp_path) == DATA


def test_all_pages_in_one_picture_twice_and_turned(paper: bytes, tmp_path: Path) -> None:
    first, second = code_pages(paper, 150)
    side = max(first.size)
    table = Image.new("L", (2 * side, 2 * side), 90)
    for number, page in enumerate(
        (first, second.rotate(90, expand=True), second.rotate(180), first.rotate(270, expand=True))
    ):
        table.paste(page, (number % 2 * side, number // 2 * side))
    assert read_back(saved([table], tmp_path), tmp_path) == DATA


def test_pages_without_codes_do_no_harm(paper: bytes, tmp_path: Path) -> None:
    blank = Image.new("L", (1240, 1754), "white")
    first, second = code_pages(paper, 150)
    assert read_back(saved([blank, second, first, second, blank], tmp_path), tmp_path) == DATA
