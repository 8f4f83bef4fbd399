"""Reads the QR codes in an image with zxing-cpp; defines ways to enhance bad images first."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import zxingcpp
from PIL import Image, ImageFilter

from ecs_appliance.paper.codes import read_part
from ecs_appliance.paper.perspective import MODULES_PER_VERSION, Located, hidden

# Side of a QR code in modules, without MODULES_PER_VERSION times its version.
SMALLEST = 17
# Factor for scans at 300 dpi; larger images are enlarged only to a size that is read in seconds.
ENLARGED = 1.5
SHARPENED_PIXELS = 20_000_000
QR_CODES = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


@dataclass(frozen=True)
class Attempt:
    """A way to prepare an image for reading; `why` describes it."""

    why: str
    prepare: Callable[[Image.Image], Image.Image]


def _smoothed(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(1))


def _sharpened(image: Image.Image) -> Image.Image:
    factor = min(ENLARGED, (SHARPENED_PIXELS / (image.width * image.height)) ** 0.5)
    size = round(image.width * factor), round(image.height * factor)
    return image.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.UnsharpMask(4, percent=200, threshold=0))


# Each reads codes that the others do not, see docs/performance.md.
ATTEMPTS: Sequence[Attempt] = (
    Attempt("as it is", lambda image: image),
    Attempt("enlarged and sharpened", _sharpened),
    Attempt("noise smoothed", lambda image: _sharpened(_smoothed(image))),
)


def read_codes(image: Image.Image) -> list[str]:
    """Return the texts of all QR codes in the greyscale `image`, each once, at any rotation.

    If some codes of a sheet can be read, the others are looked for at their expected positions.
    """
    found = _find(image)
    texts = [code.text for code in found]
    for cut in hidden(image, _located(found)):
        texts += [code.text for code in _find(cut)]
    return list(dict.fromkeys(texts))


def _find(image: Image.Image) -> list[zxingcpp.Barcode]:
    return zxingcpp.read_barcodes(image, formats=QR_CODES, text_mode=zxingcpp.TextMode.Plain, try_invert=False)


def _located(found: Iterable[zxingcpp.Barcode]) -> Iterator[Located]:
    for code in found:
        part = read_part(code.text)
        if part:
            at = code.position
            corners = [(point.x, point.y) for point in (at.top_left, at.top_right, at.bottom_right, at.bottom_left)]
            version = int(cast("dict[str, str]", code.extra)["Version"])
            yield Located(part, SMALLEST + MODULES_PER_VERSION * version, corners)
