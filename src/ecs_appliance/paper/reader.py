"""QR codes in a picture, by zxing-cpp: as it is first, then, if need be, helped by what a bad picture lacks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import zxingcpp
from PIL import Image, ImageFilter

QR_CODES = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


@dataclass(frozen=True)
class Attempt:
    """A way to look at a picture, and what it is good for."""

    why: str
    prepare: Callable[[Image.Image], Image.Image]


def _blurred(radius: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.filter(ImageFilter.GaussianBlur(radius))


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


# Chosen, and put in this order, by what they read that the ones before them did not; see docs/performance.md.
ATTEMPTS: Sequence[Attempt] = (
    Attempt("as it is", lambda image: image),
    Attempt("noise smoothed", _blurred(1)),
    Attempt("noise smoothed and enlarged", lambda image: _scaled(_blurred(1)(image), 1.5)),
    Attempt("reduced", lambda image: _scaled(image, 0.5)),
    Attempt("much noise smoothed", _blurred(2)),
)


def read_codes(image: Image.Image) -> list[str]:
    """The texts of all QR codes in the grey `image`, each once, whichever way it is turned."""
    found = zxingcpp.read_barcodes(image, formats=QR_CODES, text_mode=zxingcpp.TextMode.Plain, try_invert=False)
    return list(dict.fromkeys(code.text for code in found))
