from collections.abc import Sequence

import pytest
from PIL import Image, ImageDraw

from ecs_appliance.paper.codes import Part
from ecs_appliance.paper.perspective import projection
from ecs_appliance.paper.pictures import DOTS_PER_INCH, POINTS_PER_INCH, Document, pages
from ecs_appliance.paper.scan_reader import read_codes
from ecs_appliance.paper.sheet_layout import CODE_SIZE, place
from tests.papers import codes_of, make_paper, noise

DATA = noise(9_400)
PARTS = codes_of(DATA)
FINDERS = ((0, 0), (1, 0), (0, 1))
# The share of a code's side that a finder pattern and its margin take.
MARK = 0.08


@pytest.fixture(scope="module")
def sheets() -> list[Image.Image]:
    """Return the two pages with codes as scans at 300 dpi; two more pages contain instructions."""
    return [page.picture() for page in pages(Document("env.yml.pdf", make_paper(DATA)))][-4:-2]


def spoilt(image: Image.Image, number: int, finders: Sequence[tuple[int, int]] = FINDERS) -> Image.Image:
    """Return `image` without the finder patterns of code `number`."""
    dots = DOTS_PER_INCH / POINTS_PER_INCH
    left, top = place(number)
    spoilt = image.copy()
    for across, down in finders:
        x, y = left + across * (1 - MARK) * CODE_SIZE, top + down * (1 - MARK) * CODE_SIZE
        box = [edge * dots for edge in (x, y, x + MARK * CODE_SIZE, y + MARK * CODE_SIZE)]
        ImageDraw.Draw(spoilt).rectangle(box, fill="white")
    return spoilt


def texts(parts: Sequence[Part]) -> set[str]:
    return {part.text for part in parts}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_code_without_its_marks_is_read_where_it_has_to_be(sheets: list[Image.Image], number: int) -> None:
    assert set(read_codes(spoilt(sheets[0], number))) == texts(PARTS[:4])


def test_one_code_leads_to_all_others(sheets: list[Image.Image]) -> None:
    image = sheets[0]
    for number in (1, 2, 4):
        image = spoilt(image, number)
    assert set(read_codes(image)) == texts(PARTS[:4])


@pytest.mark.parametrize("degrees", [4, 90, 183])
def test_turned(sheets: list[Image.Image], degrees: int) -> None:
    turned = spoilt(sheets[0], 3).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    assert set(read_codes(turned)) == texts(PARTS[:4])


def test_the_last_page_has_no_more_codes_than_there_are(sheets: list[Image.Image]) -> None:
    assert len(PARTS) == 8
    assert set(read_codes(spoilt(sheets[1], 8, FINDERS[:1]))) == texts(PARTS[4:])


def test_two_pages_in_one_picture(sheets: list[Image.Image]) -> None:
    first, second = spoilt(sheets[0], 1), spoilt(sheets[1], 6)
    both = Image.new("L", (first.width * 2, first.height), "white")
    both.paste(first, (0, 0))
    both.paste(second.rotate(180), (first.width, 0))
    assert set(read_codes(both)) == texts(PARTS)


def test_without_any_other_code_there_is_nothing_to_go_by(sheets: list[Image.Image]) -> None:
    image = sheets[0]
    for number in (1, 2, 3, 4):
        image = spoilt(image, number)
    assert read_codes(image) == []


def test_a_projection_takes_points_to_where_they_are_seen() -> None:
    points = [(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.0, 1.0), (1.0, 0.5)]
    a, b, c, d, e, f, g, h = right = (30.0, 4.0, 100.0, -5.0, 28.0, 70.0, 0.05, -0.02)
    seen = [((a * x + b * y + c) / (g * x + h * y + 1), (d * x + e * y + f) / (g * x + h * y + 1)) for x, y in points]
    assert projection(zip(points, seen, strict=True)) == pytest.approx(right)


def test_points_on_one_line_tell_no_projection() -> None:
    line = [((float(x), 0.0), (float(x), 0.0)) for x in range(4)]
    with pytest.raises(ZeroDivisionError):
        projection(line)
