"""What happens to a sheet of paper between the printer and the reader, done to its picture.

Each distortion takes a grey picture of a page (numpy, float32, 0 black to 255 white, `dpi` dots an inch) and a source
of randomness, which chooses where and how much within what the name promises.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[numpy.float32]
MILLIMETRES_PER_INCH = 25.4
DESK = 150


@dataclass(frozen=True)
class Sheet:
    """A picture of a page, and where its codes are: boxes of left, top, right, bottom in pixels."""

    picture: Picture
    dpi: int
    codes: Sequence[tuple[float, float, float, float]]


Distortion = Callable[[Sheet, Random], Sheet]


def tilt(sheet: Sheet, random: Random) -> Sheet:
    """Put on the scanner by hand: turned by up to 5 degrees."""
    return _on_picture(sheet, lambda image: _turned(image, random.uniform(-5, 5)))


def quarter_turn(sheet: Sheet, random: Random) -> Sheet:
    """Put in sideways or upside down: turned by 90, 180 or 270 degrees."""
    return _on_picture(sheet, lambda image: image.rotate(random.choice((90, 180, 270)), expand=True))


def jpeg(sheet: Sheet, random: Random) -> Sheet:
    """Saved by a scanner that saves space: JPEG of quality 40."""

    def saved(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=40)
        return Image.open(buffer).convert("L")

    return _on_picture(sheet, saved)


def noise(sheet: Sheet, random: Random) -> Sheet:
    """Gaussian noise with a deviation of a tenth of the way from black to white."""
    generator = numpy.random.default_rng(random.getrandbits(32))
    added = generator.normal(0, 25.5, sheet.picture.shape).astype(numpy.float32)
    return _changed(sheet, sheet.picture + added)


def uneven_light(sheet: Sheet, random: Random) -> Sheet:
    """A lamp on one side, a shadow on the other, where 35 % of the light are left; towards the edges less yet."""
    down, across = _grid(sheet.picture)
    angle = random.uniform(0, 2 * numpy.pi)
    slope = down * numpy.sin(angle) + across * numpy.cos(angle)
    slope = (slope - slope.min()) / (slope.max() - slope.min())
    vignette = 1 - 0.25 * (down**2 + across**2)
    return _changed(sheet, sheet.picture * (0.35 + 0.65 * slope) * vignette)


def fold(sheet: Sheet, random: Random) -> Sheet:
    """A crease across the page, somewhere in its middle: toner gone along 0.8 mm, a shadow of 3 mm beside it."""
    down, across = _grid(sheet.picture)
    height, width = sheet.picture.shape
    lying = random.random() < 0.5
    along, off = (across, down * height / 2) if lying else (down, across * width / 2)
    length = (height if lying else width) / 2
    distance = off - random.uniform(-0.4, 0.4) * length - along * length * random.uniform(-0.03, 0.03)
    distance *= MILLIMETRES_PER_INCH / sheet.dpi
    crease = 0.8 * numpy.clip(1.4 - numpy.abs(distance) / 0.4, 0, 1)
    shadow = 1 - 0.35 * numpy.exp(-((distance / 1.5) ** 2)) * (distance > 0)
    return _changed(sheet, (sheet.picture * (1 - crease) + 235 * crease) * shadow)


def stain(sheet: Sheet, random: Random) -> Sheet:
    """A blot of coffee on 5 % of one code, under which an eighth of the contrast is left, with a dark rim."""
    left, top, right, bottom = random.choice(sheet.codes)
    radius = (0.05 * (right - left) * (bottom - top) / numpy.pi) ** 0.5
    across = numpy.arange(sheet.picture.shape[1]) - random.uniform(left + radius, right - radius)
    down = numpy.arange(sheet.picture.shape[0]) - random.uniform(top + radius, bottom - radius)
    distance = numpy.hypot(down[:, None], across[None, :]) / radius
    covered = numpy.clip((1 - distance) * 40, 0, 1)
    colour = 95 - 40 * (distance > 0.85)
    return _changed(sheet, sheet.picture * (1 - covered) + (colour + sheet.picture / 8) * covered)


def perspective(sheet: Sheet, random: Random) -> Sheet:
    """Photographed from half a metre, the paper tilted by up to 10 degrees around both of its axes."""
    height, width = sheet.picture.shape
    angles = [numpy.radians(random.uniform(-10, 10)) for _ in range(2)]
    distance = 500 / MILLIMETRES_PER_INCH * sheet.dpi
    corners = [(-width / 2, -height / 2), (width / 2, -height / 2), (width / 2, height / 2), (-width / 2, height / 2)]
    seen = numpy.array([_projected(corner, angles, distance) for corner in corners])
    seen -= seen.min(axis=0)
    size = tuple(int(side) + 1 for side in seen.max(axis=0))
    source = [(0, 0), (width, 0), (width, height), (0, height)]
    rows = [_equations(x, y, *place) for (x, y), place in zip(seen, source, strict=True)]
    matrix = numpy.linalg.solve(numpy.vstack(rows), numpy.array(source, dtype=float).ravel())

    def tilted(image: Image.Image) -> Image.Image:
        return image.transform(
            (size[0], size[1]), Image.Transform.PERSPECTIVE, matrix.tolist(), Image.Resampling.BICUBIC, fillcolor=DESK
        )

    return _on_picture(sheet, tilted)


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


def image_of(sheet: Sheet) -> Image.Image:
    """What a scanner would hand over."""
    return Image.fromarray(sheet.picture.clip(0, 255).astype(numpy.uint8))


def _projected(corner: tuple[float, float], angles: Sequence[float], distance: float) -> tuple[float, float]:
    """Where a pinhole camera at `distance` sees the `corner` of a page turned around its two axes."""
    across, down = corner
    deep = across * numpy.sin(angles[0])
    across *= numpy.cos(angles[0])
    down, deep = (
        down * numpy.cos(angles[1]) - deep * numpy.sin(angles[1]),
        down * numpy.sin(angles[1]) + deep * numpy.cos(angles[1]),
    )
    scale = distance / (distance + deep)
    return across * scale, down * scale


def _equations(x: float, y: float, source_x: float, source_y: float) -> NDArray[numpy.float64]:
    """Two linear equations of the eight numbers of the projection that takes (x, y) to the source."""
    return numpy.array(
        [
            [x, y, 1, 0, 0, 0, -source_x * x, -source_x * y],
            [0, 0, 0, x, y, 1, -source_y * x, -source_y * y],
        ]
    )


def _turned(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=DESK)


def _on_picture(sheet: Sheet, change: Callable[[Image.Image], Image.Image]) -> Sheet:
    """The codes are elsewhere afterwards, and nobody asks for their places any more."""
    changed = numpy.asarray(change(image_of(sheet)), dtype=numpy.float32)
    return Sheet(changed, sheet.dpi, sheet.codes)


def _changed(sheet: Sheet, picture: NDArray[numpy.floating]) -> Sheet:
    return Sheet(picture.clip(0, 255).astype(numpy.float32), sheet.dpi, sheet.codes)


def _grid(picture: Picture) -> tuple[NDArray[numpy.float32], NDArray[numpy.float32]]:
    """How far each row and each column is from the middle, from -1 to 1."""
    height, width = picture.shape
    down = numpy.linspace(-1, 1, height, dtype=numpy.float32)[:, None]
    across = numpy.linspace(-1, 1, width, dtype=numpy.float32)[None, :]
    return down, across
