"""Finds codes whose finder patterns are damaged, by the positions of the sheet's other codes.

A reader finds a QR code by the squares in three of its corners. If a fold or stain hides one of them, it finds no code
at all, although error correction could repair the damage.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from ecs_appliance.paper.codes import CodeKind, Part
from ecs_appliance.paper.sheet_layout import CODE_SIZE, CODES_PER_PAGE, QUIET, place

Point = tuple[float, float]
# Per module; about as in a scan at 300 dpi.
PIXELS = 8
# Nested squares of a finder pattern, from the white around it inwards: distance from its edge in modules, colour.
SQUARES = ((-1, "white"), (0, "black"), (1, "white"), (2, "black"))
FINDER = 7
MODULES_PER_VERSION = 4


@dataclass(frozen=True)
class Located:
    """A code that was read, its side in modules, and its corners in the picture, clockwise from its own top left."""

    part: Part
    modules: int
    corners: Sequence[Point]


def hidden(image: Image.Image, located: Iterable[Located]) -> Iterator[Image.Image]:
    """Yield the unread codes of the same sheets, cut out of `image`, upright, with redrawn finder patterns."""
    sheets: defaultdict[tuple[CodeKind, int, bytes, int], dict[int, Located]] = defaultdict(dict)
    for code in located:
        part = code.part
        sheets[part.kind, part.total, part.digest, (part.number - 1) // CODES_PER_PAGE][part.number] = code
    for (_, total, _, page), read in sheets.items():
        first = page * CODES_PER_PAGE + 1
        for number in range(first, min(first + CODES_PER_PAGE - 1, total) + 1):
            if number not in read:
                yield from _cut_out(image, number, total, read)


def projection(pairs: Iterable[tuple[Point, Point]]) -> list[float]:
    """Return Pillow's eight coefficients of the perspective transform that best maps first points to second ones.

    Needs four pairs or more. Raise ZeroDivisionError if the points are on one line."""
    equations: list[list[float]] = []
    for (x, y), (to_x, to_y) in pairs:
        equations.append([x, y, 1, 0, 0, 0, -x * to_x, -y * to_x, to_x])
        equations.append([0, 0, 0, x, y, 1, -x * to_y, -y * to_y, to_y])
    return _solved([[sum(one[row] * one[column] for one in equations) for column in range(9)] for row in range(8)])


def _cut_out(image: Image.Image, number: int, total: int, read: Mapping[int, Located]) -> Iterator[Image.Image]:
    left, top = place(number)
    pairs = [
        (((x - left) / CODE_SIZE, (y - top) / CODE_SIZE), seen)
        for code in read.values()
        for (x, y), seen in zip(_printed_corners(code), code.corners, strict=True)
    ]
    try:
        a, b, c, d, e, f, g, h = projection(pairs)
    except ZeroDivisionError:
        return
    most = max(code.modules for code in read.values())
    # The last part may be slightly shorter, and its code one version smaller.
    for modules in (most, most - MODULES_PER_VERSION) if number == total else (most,):
        size = (modules + 2 * QUIET) * PIXELS
        matrix = (a / size, b / size, c, d / size, e / size, f, g / size, h / size)
        cut = image.transform((size, size), Image.Transform.PERSPECTIVE, matrix, Image.Resampling.BICUBIC)
        _draw_marks(cut, modules)
        yield cut


def _printed_corners(code: Located) -> list[Point]:
    left, top = place(code.part.number)
    white = CODE_SIZE * QUIET / (code.modules + 2 * QUIET)
    near, far = white, CODE_SIZE - white
    return [(left + x, top + y) for x, y in ((near, near), (far, near), (far, far), (near, far))]


def _draw_marks(image: Image.Image, modules: int) -> None:
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, image.width - 1, image.height - 1), outline="white", width=QUIET * PIXELS)
    near, far = QUIET, QUIET + modules - FINDER
    for x, y in ((near, near), (far, near), (near, far)):
        for inset, colour in SQUARES:
            box = (x + inset, y + inset, x + FINDER - inset, y + FINDER - inset)
            draw.rectangle([edge * PIXELS - end for edge, end in zip(box, (0, 0, 1, 1), strict=True)], fill=colour)


def _solved(rows: list[list[float]]) -> list[float]:
    """Solve linear equations by Gauss-Jordan elimination; the last column is the right-hand side."""
    for pivot in range(len(rows)):
        largest = max(range(pivot, len(rows)), key=lambda row: abs(rows[row][pivot]))
        rows[pivot], rows[largest] = rows[largest], rows[pivot]
        rows[pivot] = [value / rows[pivot][pivot] for value in rows[pivot]]
        for number, row in enumerate(rows):
            if number != pivot:
                factor = row[pivot]
                rows[number] = [value - factor * other for value, other in zip(row, rows[pivot], strict=True)]
    return [row[-1] for row in rows]
