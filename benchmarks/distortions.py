"""Simulate what happens to a sheet of paper between printer and reader, on a picture of it.

Each distortion takes a greyscale picture of a page (numpy, float32, 0 black to 255 white, `dpi` dots per inch) and a
random generator that chooses position and strength within the limits of the distortion.
"""

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from random import Random

import numpy
import pypdfium2
import zxingcpp
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ecs_appliance.paper.perspective import FINDER, projection
from ecs_appliance.paper.pictures import POINTS_PER_INCH
from ecs_appliance.paper.scan_reader import QR_CODES

Picture = NDArray[numpy.float32]
Box = tuple[float, float, float, float]
MILLIMETRES_PER_INCH = 25.4
DESK, DARK_DESK = 150, 45
PHOTO = (3024, 4032)
# Distance from the edge of a code of version 32 to the centre of a finder pattern, relative to the code's side.
MARK = FINDER / 2 / 145


@dataclass(frozen=True)
class Sheet:
    """A picture of a page and its codes: text to left, top, right and bottom edge in pixels."""

    picture: Picture
    dpi: int
    codes: Mapping[str, Box]


Distortion = Callable[[Sheet, Random], Sheet]


def tilt(sheet: Sheet, random: Random) -> Sheet:
    """Turn by up to 5 degrees, as if placed on the scanner by hand."""
    return _on_picture(sheet, lambda image: _turned(image, random.uniform(-5, 5)))


def quarter_turn(sheet: Sheet, random: Random) -> Sheet:
    """Turn by 90, 180 or 270 degrees, as if inserted sideways or upside down."""
    return _on_picture(sheet, lambda image: image.rotate(random.choice((90, 180, 270)), expand=True))


def jpeg(sheet: Sheet, random: Random) -> Sheet:
    """Compress as JPEG of quality 40, as a scanner does that saves space."""
    return _on_picture(sheet, lambda image: _saved(image, 40))


def noise(sheet: Sheet, random: Random) -> Sheet:
    """Add Gaussian noise with a standard deviation of a tenth of the range from black to white."""
    return _noisy(sheet, random, 25.5)


def uneven_light(sheet: Sheet, random: Random) -> Sheet:
    """Light from one side, down to 35 % on the other, and darker towards the edges."""
    down, across = _grid(sheet.picture)
    angle = random.uniform(0, 2 * math.pi)
    slope = down * math.sin(angle) + across * math.cos(angle)
    slope = (slope - slope.min()) / (slope.max() - slope.min())
    vignette = 1 - 0.25 * (down**2 + across**2)
    return _changed(sheet, sheet.picture * (0.35 + 0.65 * slope) * vignette)


def fold(sheet: Sheet, random: Random) -> Sheet:
    """Crease the page, not in its margins: toner gone along 0.8 mm, a shadow of 3 mm next to it."""
    lying = random.random() < 0.5
    length = sheet.picture.shape[0 if lying else 1]
    return _creased(sheet, lying, random.uniform(0.1, 0.9) * length, random.uniform(-0.03, 0.03))


def stain(sheet: Sheet, random: Random) -> Sheet:
    """Put a coffee stain with its centre on a code, covering up to 5 % of the code."""
    left, top, right, bottom = random.choice(list(sheet.codes.values()))
    return _stained(sheet, random.uniform(left, right), random.uniform(top, bottom), right - left)


def perspective(sheet: Sheet, random: Random) -> Sheet:
    """Photograph from half a metre, the paper tilted by up to 10 degrees around both axes."""
    return _on_picture(sheet, lambda image: _tilted(image, sheet.dpi, random, DESK))


def fold_through_marks(sheet: Sheet, random: Random) -> Sheet:
    """Crease the page like `fold`, but through finder patterns of two codes."""
    left, top, right, bottom = random.choice(list(sheet.codes.values()))
    lying = random.random() < 0.5
    edges = [top, bottom] if lying else [left, right]
    inwards = MARK * (edges[1] - edges[0])
    return _creased(sheet, lying, random.choice((edges[0] + inwards, edges[1] - inwards)), 0)


def stain_on_mark(sheet: Sheet, random: Random) -> Sheet:
    """Put a stain like `stain` exactly on a finder pattern."""
    left, top, right, bottom = random.choice(list(sheet.codes.values()))
    inwards = MARK * (right - left)
    across, down = random.choice(((left, top), (right, top), (left, bottom)))
    return _stained(
        sheet,
        across + inwards * (1 if across == left else -1),
        down + inwards * (1 if down == top else -1),
        right - left,
    )


def out_of_focus(sheet: Sheet, random: Random) -> Sheet:
    """Blur with a standard deviation of 0.3 mm, about half a module."""
    return _on_picture(
        sheet, lambda image: image.filter(ImageFilter.GaussianBlur(0.3 / MILLIMETRES_PER_INCH * sheet.dpi))
    )


def photo(sheet: Sheet, random: Random) -> Sheet:
    """Photograph on a dark desk with a 12 megapixel phone, handheld, slightly out of focus, under a lamp."""

    def taken(image: Image.Image) -> Image.Image:
        image = _tilted(image, sheet.dpi, random, DARK_DESK)
        image = image.rotate(random.uniform(-8, 8), Image.Resampling.BICUBIC, expand=True, fillcolor=DARK_DESK)
        filled = random.uniform(0.75, 0.97)
        image.thumbnail((PHOTO[0] * filled, PHOTO[1] * filled), Image.Resampling.BICUBIC)
        whole = Image.new("L", PHOTO, DARK_DESK)
        whole.paste(image, ((whole.width - image.width) // 2, (whole.height - image.height) // 2))
        return whole.filter(ImageFilter.GaussianBlur(1.5))

    shaded = uneven_light(_on_picture(sheet, taken), random)
    return _on_picture(_noisy(shaded, random, 8), lambda image: _saved(image, 75))


# In the order in which they happen to a sheet.
DISTORTIONS: Mapping[str, Distortion] = {
    "stain": stain,
    "fold": fold,
    "turned up to 5°": tilt,
    "turned 90/180/270°": quarter_turn,
    "perspective up to 10°": perspective,
    "uneven light": uneven_light,
    "noise": noise,
    "JPEG quality 40": jpeg,
}
# Beyond the goals.
HARDER: Mapping[str, Distortion] = {
    "stain on a finder pattern": stain_on_mark,
    "fold through finder patterns": fold_through_marks,
    "out of focus by half a module": out_of_focus,
    "photo of 12 megapixels": photo,
}


def scanned(pdf: bytes, dpi: float) -> Iterator[Image.Image]:
    """Yield the pages of `pdf`, cleaner than any scan."""
    with closing(pypdfium2.PdfDocument(pdf)) as document:
        for page in document:
            yield page.render(scale=dpi / POINTS_PER_INCH, grayscale=True).to_pil()


def sheets(pdf: bytes, dpi: int) -> Iterator[Sheet]:
    """Yield the undamaged pages of `pdf` that have codes."""
    for page in scanned(pdf, dpi):
        codes = {code.text: _box(code.position) for code in zxingcpp.read_barcodes(page, formats=QR_CODES)}
        if codes:
            yield Sheet(numpy.asarray(page, dtype=numpy.float32), dpi, codes)


def distorted(sheet: Sheet, names: Iterable[str], random: Random) -> Image.Image:
    """Return what a scanner would deliver of `sheet` after the distortions `names`, in the order given."""
    for name in names:
        sheet = (DISTORTIONS.get(name) or HARDER[name])(sheet, random)
    return image_of(sheet)


def image_of(sheet: Sheet) -> Image.Image:
    """Return what a scanner would deliver."""
    return Image.fromarray(sheet.picture.clip(0, 255).astype(numpy.uint8))


def _creased(sheet: Sheet, lying: bool, at: float, slope: float) -> Sheet:
    """Crease across the middle of the page at row `at`, or at column `at` if not `lying`."""
    height, width = sheet.picture.shape
    rows, columns = _pixels(height)[:, None], _pixels(width)[None, :]
    off = rows - at - slope * (columns - width / 2) if lying else columns - at - slope * (rows - height / 2)
    distance = off * MILLIMETRES_PER_INCH / sheet.dpi
    crease = 0.8 * numpy.clip(1.4 - numpy.abs(distance) / 0.4, 0, 1)
    shadow = 1 - 0.35 * numpy.exp(-((distance / 1.5) ** 2)) * (distance > 0)
    return _changed(sheet, (sheet.picture * (1 - crease) + 235 * crease) * shadow)


def _stained(sheet: Sheet, across: float, down: float, side: float) -> Sheet:
    """Put a stain with 5 % of the area of a square of `side`, an eighth of the contrast left, and a dark rim."""
    radius = side * (0.05 / math.pi) ** 0.5
    rows, columns = (_pixels(length) for length in sheet.picture.shape)
    distance = numpy.hypot(rows[:, None] - down, columns[None, :] - across) / radius
    covered = numpy.clip((1 - distance) * 40, 0, 1)
    colour = 95 - 40 * (distance > 0.85)
    return _changed(sheet, sheet.picture * (1 - covered) + (colour + sheet.picture / 8) * covered)


def _noisy(sheet: Sheet, random: Random, deviation: float) -> Sheet:
    generator = numpy.random.default_rng(random.getrandbits(32))
    added = generator.standard_normal(sheet.picture.shape, dtype=numpy.float32)
    return _changed(sheet, sheet.picture + deviation * added)


def _saved(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("L")


def _tilted(image: Image.Image, dpi: int, random: Random, around: int) -> Image.Image:
    width, height = image.size
    angles = [math.radians(random.uniform(-10, 10)) for _ in range(2)]
    distance = 500 / MILLIMETRES_PER_INCH * dpi
    corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    seen = [_projected((x - width / 2, y - height / 2), angles, distance) for x, y in corners]
    left, top = (min(point[axis] for point in seen) for axis in (0, 1))
    seen = [(x - left, y - top) for x, y in seen]
    size = [int(max(point[axis] for point in seen)) + 1 for axis in (0, 1)]
    matrix = projection(zip(seen, corners, strict=True))
    return image.transform(
        (size[0], size[1]), Image.Transform.PERSPECTIVE, matrix, Image.Resampling.BICUBIC, fillcolor=around
    )


def _box(position: zxingcpp.Position) -> Box:
    """Return the box of an upright code."""
    near, far = position.top_left, position.bottom_right
    return near.x, near.y, far.x, far.y


def _projected(corner: tuple[float, float], angles: Sequence[float], distance: float) -> tuple[float, float]:
    """Return where a pinhole camera at `distance` sees the `corner` of a page turned around its two axes."""
    across, down = corner
    deep = across * math.sin(angles[0])
    across *= math.cos(angles[0])
    down, deep = (
        down * math.cos(angles[1]) - deep * math.sin(angles[1]),
        down * math.sin(angles[1]) + deep * math.cos(angles[1]),
    )
    scale = distance / (distance + deep)
    return across * scale, down * scale


def _turned(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=DESK)


def _on_picture(sheet: Sheet, change: Callable[[Image.Image], Image.Image]) -> Sheet:
    """Apply `change` to the picture. The positions of the codes are invalid afterwards, but no longer used."""
    changed = numpy.asarray(change(image_of(sheet)), dtype=numpy.float32)
    return Sheet(changed, sheet.dpi, sheet.codes)


def _changed(sheet: Sheet, picture: NDArray[numpy.floating]) -> Sheet:
    return Sheet(picture.clip(0, 255).astype(numpy.float32), sheet.dpi, sheet.codes)


def _pixels(length: int) -> NDArray[numpy.float32]:
    return numpy.arange(length, dtype=numpy.float32)


def _grid(picture: Picture) -> tuple[NDArray[numpy.float32], NDArray[numpy.float32]]:
    """Return the distance of each row and each column from the centre, from -1 to 1."""
    height, width = picture.shape
    down = numpy.linspace(-1, 1, height, dtype=numpy.float32)[:, None]
    across = numpy.linspace(-1, 1, width, dtype=numpy.float32)[None, :]
    return down, across
