"""Sheets as scans: what a scanner makes of a PDF, saved as files."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks.distortions import scanned
from ecs_appliance.paper.codes import read_part
from ecs_appliance.paper.pictures import Document, on_disk
from ecs_appliance.paper.scan_reader import read_codes


def code_pages(pdf: bytes, dpi: float = 300) -> list[Image.Image]:
    """Return the pages of `pdf` that contain codes of the file."""
    return [page for page in scanned(pdf, dpi) if any(read_part(text) for text in read_codes(page))]


def saved(pages: Sequence[Image.Image], folder: Path) -> list[Path]:
    """Save `pages` as PNG files in `folder`, and return the files."""
    files = [folder / f"scan{number:02}.png" for number in range(len(pages))]
    for page, file in zip(pages, files, strict=True):
        page.save(file, compress_level=1)
    return files


def documents(files: Sequence[Path]) -> list[Document]:
    """Return `files` as `appliance env scan` receives them."""
    return [on_disk(file) for file in files]
