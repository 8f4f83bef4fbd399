"""PDF and picture files as grey pictures of their pages."""

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
# A sheet of A3 at 600 dpi has 70 million; what claims to have much more is not unpacked.
MOST_PIXELS = 150_000_000
# A3 at 300 dpi has 17 million; photos in a PDF claim to be metres wide.
MOST_DRAWN_PIXELS = 20_000_000
LONGEST_DRAWN_SIDE = 30_000
# Faxes have about 204 dots an inch across, and 98 or 391 down; a ratio beyond is nonsense, one below harmless.
LEAST_STRETCH, MOST_STRETCH = 1.2, 4
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L")

# Not all that Pillow knows: for EPS it would run Ghostscript. Photos of several pictures (MPO) are JPEG to it.
FORMATS = ("PNG", "JPEG", "TIFF", "HEIF", "WEBP", "BMP", "GIF", "PPM")
# What the decoders raise where a file is not as they expect.
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
AS_PICTURE = "give the scans as PNG, JPEG or TIFF"
AGAIN = "scan it again, or leave it out"

pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
for library in ("PIL", "pypdfium2"):
    logging.getLogger(library).addHandler(logging.NullHandler())


class UnreadableError(ApplianceError):
    """A file that is no PDF or picture, or a damaged one, or such a page."""


@dataclass(frozen=True, repr=False)
class Page:
    """One page, and where it is, for people; to be used only until the next one is taken."""

    where: str
    draw: Callable[[], Image.Image]

    def picture(self) -> Image.Image:
        """The page in grey, drawn or decoded now. Raises UnreadableError."""
        return self.draw()


@dataclass(frozen=True, repr=False)
class Document:
    """A file with pages, on disk, or as bytes that never were there."""

    name: str
    source: Path | bytes


def on_disk(file: Path) -> Document:
    """The document in `file`."""
    return Document(str(file), file)


def pages(document: Document) -> Iterator[Page]:
    """Every page of a PDF, at 300 dpi unless that is too large, or every picture in an image file.

    The document stays open while this is iterated. Raises UnreadableError where it cannot be opened as a whole.
    """
    with _handle(document) as handle:
        start = handle.read(SNIFFED_BYTES)
        handle.seek(0)
        yield from (_pdf_pages if b"%PDF-" in start else _image_pages)(document.name, handle)


def _handle(document: Document) -> BinaryIO:
    if isinstance(document.source, bytes):
        return io.BytesIO(document.source)
    try:
        # Opening a pipe may wait for ever.
        if not stat.S_ISREG(document.source.stat().st_mode):
            raise UnreadableError(f"{document.name} is no regular file", "save it as a file, and give that")
        return document.source.open("rb")
    except OSError as error:
        raise UnreadableError(f"cannot read {document.name}: {error.strerror}") from None


@contextmanager
def _decoding(problem: str, remedy: str) -> Iterator[None]:
    """Tell of whatever a decoder raises as `problem`, and keep its warnings to ourselves."""
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
                    # It would be the same place in the file for ever.
                    return
            else:
                yield Page(where, partial(_decoded, opened, where))


def _opened(name: str, handle: BinaryIO) -> Image.Image:
    with _decoding(f"{name} is damaged", AGAIN):
        try:
            return Image.open(handle, formats=FORMATS)
        except UnidentifiedImageError:
            pass
    raise UnreadableError(f"{name} is no PDF and no picture", "it may be PDF, PNG, JPEG, TIFF or HEIC")


def _has_several(opened: Image.Image) -> bool:
    try:
        return bool(getattr(opened, "is_animated", False))
    except DECODER_ERRORS:
        return True


def _turn(opened: Image.Image, number: int) -> bool:
    """Go to picture `number` of the file; False where there is none."""
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
    """`image` on white paper in 256 shades."""
    if image.mode in SIXTEEN_BITS:
        return image.convert("I").point(lambda level: level / 256).convert("L")
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("L")
    return image.convert("L")


def _squared(image: Image.Image, dpi: tuple[float, float]) -> Image.Image:
    """`image` with as many dots an inch across as down: its coarser side is enlarged."""
    across, down = map(float, dpi)
    if not (across > 0 and down > 0 and LEAST_STRETCH < max(across / down, down / across) < MOST_STRETCH):
        return image
    finest = max(across, down)
    size = round(image.width * finest / across), round(image.height * finest / down)
    return image if size[0] * size[1] > MOST_PIXELS else image.resize(size, Image.Resampling.BICUBIC)
