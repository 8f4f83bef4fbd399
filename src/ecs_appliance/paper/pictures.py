"""Reads the pages of PDF and image files as greyscale images."""

import ctypes
import io
import logging
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import BinaryIO, NoReturn

import pillow_heif
import pypdfium2
from PIL import Image, UnidentifiedImageError

from ecs_appliance.core.errors import ApplianceError

DOTS_PER_INCH = 300
POINTS_PER_INCH = 72
SNIFFED_BYTES = 1024
# A3 at 600 dpi has 70 million; images that claim far more are not decoded.
MOST_PIXELS = 150_000_000
# A3 at 300 dpi has 17 million; pages made from photos may claim to be metres wide.
MOST_DRAWN_PIXELS = 20_000_000
LONGEST_DRAWN_SIDE = 30_000
# Faxes have about 204 dpi across and 98 or 391 dpi down. Larger ratios are nonsense, smaller ones harmless.
LEAST_STRETCH, MOST_STRETCH = 1.2, 4
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L")

# Not all formats of Pillow: for EPS it would run Ghostscript. Multi-picture photos (MPO) count as JPEG.
FORMATS = ("PNG", "JPEG", "TIFF", "HEIF", "WEBP", "BMP", "GIF", "PPM")
# What the decoders raise for malformed files.
DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemError,
    TypeError,
    ValueError,
    Image.DecompressionBombError,
    ctypes.ArgumentError,
    struct.error,
    zlib.error,
)
AS_PICTURE = "provide the scans as PNG, JPEG or TIFF"
AGAIN = "scan it again, or leave it out"

pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
for library in ("PIL", "pypdfium2"):
    logging.getLogger(library).addHandler(logging.NullHandler())


class UnreadableError(ApplianceError):
    """A file or page that is damaged, or is neither PDF nor image."""


@dataclass(frozen=True, repr=False)
class Page:
    """One page; `where` describes it to people. Valid only until the next one is requested."""

    where: str
    draw: Callable[[], Image.Image]

    def picture(self) -> Image.Image:
        """Render or decode the page in greyscale. Raise UnreadableError."""
        return self.draw()


@dataclass(frozen=True, repr=False)
class Document:
    """A file with pages, on disk or in memory."""

    name: str
    source: Path | bytes


def on_disk(file: Path) -> Document:
    """Return the document in `file`."""
    return Document(str(file), file)


def pages(document: Document) -> Iterator[Page]:
    """Yield every page of a PDF, at 300 dpi unless that is too large, or every picture in an image file.

    The document stays open during the iteration. Raise UnreadableError if it cannot be opened at all.
    """
    with _handle(document) as handle:
        start = handle.read(SNIFFED_BYTES)
        handle.seek(0)
        yield from (_pdf_pages if b"%PDF-" in start else _image_pages)(document.name, handle)


def _handle(document: Document) -> BinaryIO:
    if isinstance(document.source, bytes):
        return io.BytesIO(document.source)
    try:
        # Opening a pipe may block forever.
        if not stat.S_ISREG(document.source.stat().st_mode):
            raise UnreadableError(f"{document.name} is not a regular file", "save it to a file, and use that")
        return document.source.open("rb")
    except OSError as error:
        raise UnreadableError(f"cannot read {document.name}: {error.strerror}") from None


@contextmanager
def _decoding(problem: str, remedy: str) -> Iterator[None]:
    """Convert any exception of a decoder to UnreadableError, and suppress its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except DECODER_ERRORS as error:
            raise UnreadableError(f"{problem}: {str(error) or type(error).__name__}", remedy) from None


def _pdf_pages(name: str, handle: BinaryIO) -> Iterator[Page]:
    with _decoding(f"{name} cannot be read as PDF", AS_PICTURE):
        pdf = pypdfium2.PdfDocument(handle)
    with closing(pdf):
        for number in range(len(pdf)):
            where = f"{name} page {number + 1}"
            yield Page(where, partial(_drawn, pdf, number, where))


def _drawn(pdf: pypdfium2.PdfDocument, number: int, where: str) -> Image.Image:
    with _decoding(f"{where} cannot be read as PDF", AS_PICTURE), closing(pdf[number]) as page:
        width, height = page.get_size()
        scale = min(
            DOTS_PER_INCH / POINTS_PER_INCH,
            (MOST_DRAWN_PIXELS / (width * height)) ** 0.5,
            LONGEST_DRAWN_SIDE / max(width, height),
        )
        image: Image.Image = page.render(scale=scale, grayscale=True).to_pil()
        return image


def _image_pages(name: str, handle: BinaryIO) -> Iterator[Page]:
    with _opened(name, handle) as opened:
        several = _has_several(opened)
        for number in count():
            where = f"{name} page {number + 1}" if several else name
            try:
                with _decoding(f"{where} is damaged", AGAIN):
                    if not _turn(opened, number):
                        return
            except UnreadableError as error:
                yield Page(where, partial(_fail, error))
                if opened.tell() != number:
                    # The decoder does not get past this place in the file.
                    return
            else:
                yield Page(where, partial(_decoded, opened, where))


def _opened(name: str, handle: BinaryIO) -> Image.Image:
    with _decoding(f"{name} is damaged", AGAIN):
        try:
            return Image.open(handle, formats=FORMATS)
        except UnidentifiedImageError:
            pass
    raise UnreadableError(f"{name} is neither a PDF nor a picture", "it can be PDF, PNG, JPEG, TIFF or HEIC")


def _has_several(opened: Image.Image) -> bool:
    try:
        return bool(getattr(opened, "is_animated", False))
    except DECODER_ERRORS:
        return True


def _turn(opened: Image.Image, number: int) -> bool:
    """Go to picture `number` of the file; return False if there is none."""
    try:
        opened.seek(number)
    except EOFError:
        return False
    return True


def _fail(error: UnreadableError) -> NoReturn:
    raise error


def _decoded(opened: Image.Image, where: str) -> Image.Image:
    if opened.width * opened.height > MOST_PIXELS:
        raise UnreadableError(f"{where} has more than {MOST_PIXELS:,} pixels", "scan it at 300 dpi")
    with _decoding(f"{where} is damaged", AGAIN):
        return _squared(_grey(opened), opened.info.get("dpi", (1, 1)))


def _grey(image: Image.Image) -> Image.Image:
    """Convert `image` to 8-bit greyscale, transparent parts to white."""
    if image.mode in SIXTEEN_BITS:
        return image.convert("I").point(lambda level: level / 256).convert("L")
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("L")
    return image.convert("L")


def _squared(image: Image.Image, dpi: tuple[float, float]) -> Image.Image:
    """Enlarge the coarser side of `image`, so that it has the same resolution in both directions."""
    across, down = map(float, dpi)
    if not (across > 0 and down > 0 and LEAST_STRETCH < max(across / down, down / across) < MOST_STRETCH):
        return image
    finest = max(across, down)
    size = round(image.width * finest / across), round(image.height * finest / down)
    return image if size[0] * size[1] > MOST_PIXELS else image.resize(size, Image.Resampling.BICUBIC)
