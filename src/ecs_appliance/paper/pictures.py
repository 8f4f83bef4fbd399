"""PDF and picture files as grey pictures of their pages."""

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pillow_heif
import pypdfium2
from PIL import Image, ImageSequence, UnidentifiedImageError

from ecs_appliance.core.errors import ApplianceError

DOTS_PER_INCH = 300
POINTS_PER_INCH = 72
SNIFFED_BYTES = 1024
# A sheet of A3 at 600 dpi has 70 million; what claims to have much more is not unpacked.
MOST_PIXELS = 150_000_000
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L")

pillow_heif.register_heif_opener()


class UnreadableError(ApplianceError):
    """A file that is no PDF or picture, or a damaged one."""


@dataclass(frozen=True)
class Page:
    """One picture, grey, and where it came from, for people."""

    image: Image.Image
    where: str


@dataclass(frozen=True, repr=False)
class Document:
    """A file with pages, on disk, or as bytes that never were there."""

    name: str
    source: Path | bytes


def on_disk(file: Path) -> Document:
    """The document in `file`."""
    return Document(str(file), file)


def pages(document: Document) -> Iterator[Page]:
    """Every page of a PDF, drawn at 300 dpi, or every picture in an image file. Raises UnreadableError."""
    return _pdf_pages(document) if b"%PDF-" in _start(document) else _image_pages(document)


def _start(document: Document) -> bytes:
    if isinstance(document.source, bytes):
        return document.source[:SNIFFED_BYTES]
    try:
        with document.source.open("rb") as handle:
            return handle.read(SNIFFED_BYTES)
    except OSError as error:
        raise UnreadableError(f"cannot read {document.name}: {error.strerror}") from None


def _pdf_pages(document: Document) -> Iterator[Page]:
    try:
        with closing(pypdfium2.PdfDocument(document.source)) as pdf:
            for number in range(len(pdf)):
                with closing(pdf[number]) as page:
                    width, height = page.get_size()
                    scale = min(DOTS_PER_INCH / POINTS_PER_INCH, (MOST_PIXELS / (width * height)) ** 0.5)
                    image = page.render(scale=scale, grayscale=True).to_pil()
                yield Page(image, f"{document.name} page {number + 1}")
    except pypdfium2.PdfiumError as error:
        hint = "give the scans as PNG, JPEG or TIFF"
        raise UnreadableError(f"{document.name} cannot be read as PDF: {error}", hint) from None


def _image_pages(document: Document) -> Iterator[Page]:
    file = document.name
    source = io.BytesIO(document.source) if isinstance(document.source, bytes) else document.source
    try:
        with Image.open(source) as opened:
            frames = getattr(opened, "n_frames", 1)
            for number, frame in enumerate(ImageSequence.Iterator(opened), 1):
                if frame.width * frame.height > MOST_PIXELS:
                    raise UnreadableError(f"{file} has more than {MOST_PIXELS:,} pixels", "scan it at 300 dpi")
                yield Page(_grey(frame), f"{file} page {number}" if frames > 1 else str(file))
    except UnidentifiedImageError:
        raise UnreadableError(f"{file} is no PDF and no picture", "it may be PDF, PNG, JPEG, TIFF or HEIC") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableError(f"{file} is damaged: {error}", "scan it again, or leave it out") from None


def _grey(image: Image.Image) -> Image.Image:
    """`image` on white paper in 256 shades."""
    if image.mode in SIXTEEN_BITS:
        return image.convert("I").point(lambda level: level / 256).convert("L")
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("L")
    return image.convert("L")
