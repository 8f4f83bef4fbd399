import io
import os
import struct
import time
import warnings
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from ecs_appliance.paper.pictures import MOST_DRAWN_PIXELS, Document, UnreadableError, on_disk, pages
from ecs_appliance.paper.scan_reader import read_codes
from ecs_appliance.paper.sheet_layout import make_pdf
from tests.papers import codes_of
from tests.unit.paper.test_sheet_layout import plain

TEXT = codes_of(plain().text.encode())[0].text
MUTATIONS, SECONDS = 60, 1.2
# TIFF tags and types.
IMAGE_WIDTH, STRIP_OFFSETS, LONG = 256, 273, 4


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Return the page with the code."""
    return [page.picture() for page in pages(Document("pdf", make_pdf(plain())))][2]


def saved(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "TIFF", "HEIF", "WEBP", "BMP"])
def test_formats(picture: Image.Image, format_name: str) -> None:
    assert read_in(Document("scan", saved(picture, format_name))) == {"scan": [TEXT]}


@pytest.mark.parametrize("mode", ["1", "RGB", "CMYK", "P", "I", "I;16"])
def test_colours_and_depths(picture: Image.Image, mode: str) -> None:
    image = picture.point(lambda level: level * 257, "I") if mode.startswith("I") else picture.convert(mode)
    data = saved(image.convert(mode), "TIFF" if mode in ("CMYK", "I") else "PNG")
    assert read_in(Document("scan", data)) == {"scan": [TEXT]}


def test_what_is_transparent_is_paper(picture: Image.Image) -> None:
    image = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    image.putalpha(picture.point(lambda level: 255 - level))
    assert read_in(Document("scan", saved(image, "PNG"))) == {"scan": [TEXT]}


def test_a_picture_of_several_pages(picture: Image.Image) -> None:
    blank = Image.new("L", picture.size, "white")
    data = saved(blank, "TIFF", save_all=True, append_images=[picture])
    assert read_in(Document("scans.tif", data)) == {"scans.tif page 1": [], "scans.tif page 2": [TEXT]}


@pytest.mark.parametrize("dots", [72, 300, 600])
def test_a_pdf_of_scans_whatever_size_its_pages_claim(picture: Image.Image, dots: int) -> None:
    document = Document("scan.pdf", saved(picture.convert("RGB"), "PDF", resolution=dots))
    assert read_in(document) == {"scan.pdf page 1": [TEXT]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither a PDF nor a picture"),
        (b"appliance: {}", "neither a PDF nor a picture"),
        (b"%PDF-1.4 and then nothing", "cannot be read as PDF"),
    ],
)
def test_what_is_no_picture(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "scan.png"
    file.write_bytes(content)
    with pytest.raises(UnreadableError, match=message) as caught:
        list(pages(on_disk(file)))
    assert str(file) in caught.value.message


def test_half_a_picture(picture: Image.Image) -> None:
    with pytest.raises(UnreadableError, match="scan is damaged"):
        drawn(saved(picture, "PNG")[:-5000])


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        list(pages(on_disk(tmp_path / "scan.png")))


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="not a regular file"):
        list(pages(on_disk(tmp_path)))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scan.pdf")
    with pytest.raises(UnreadableError, match=r"scan\.pdf is not a regular file") as caught:
        list(pages(on_disk(tmp_path / "scan.pdf")))
    assert "save it to a file" in caught.value.hint


def test_postscript_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "scan.eps"
    file.write_bytes(saved(Image.new("L", (50, 50)), "EPS"))
    with pytest.raises(UnreadableError, match="neither a PDF nor a picture"):
        list(pages(on_disk(file)))


def test_a_picture_too_large_to_unpack() -> None:
    bomb = saved(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(UnreadableError, match="pixels"):
        drawn(bomb)


def test_a_large_picture_is_read_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    before = list(warnings.filters)
    (image,) = drawn(saved(Image.new("1", (11_000, 10_000)), "PNG"))
    assert image.size == (11_000, 10_000)
    assert warnings.filters == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("width", "height"), [(3024, 4032), (14_400, 0.01), (0.01, 14_400), (14_400, 14_400), (0, 0)])
def test_pages_of_any_size_are_drawn_as_large_as_a_sheet(width: float, height: float) -> None:
    (image,) = drawn(pdf_of(f"/MediaBox [0 0 {width} {height}]"))
    assert 0 < image.width * image.height < MOST_DRAWN_PIXELS * 1.01
    assert image.width > image.height or width <= height


def test_a_photo_in_a_metre_wide_pdf_is_read(picture: Image.Image) -> None:
    photo = picture.resize((picture.width * 2, picture.height * 2)).convert("RGB")
    (image,) = drawn(saved(photo, "PDF", resolution=72))
    assert image.width * image.height < MOST_DRAWN_PIXELS * 1.01
    assert read_codes(image) == [TEXT]


@pytest.mark.parametrize("dpi", [(204, 98), (204, 391), (300, 150)])
def test_dots_that_are_not_square(picture: Image.Image, dpi: tuple[int, int]) -> None:
    size = round(picture.width * dpi[0] / 300), round(picture.height * dpi[1] / 300)
    (image,) = drawn(saved(picture.resize(size), "TIFF", dpi=dpi))
    assert image.width / image.height == pytest.approx(picture.width / picture.height, rel=0.01)


@pytest.mark.parametrize("dpi", [(300, 299), (0, 300), (1, 300)])
def test_harmless_and_nonsensical_resolutions_are_ignored(dpi: tuple[int, int]) -> None:
    (image,) = drawn(saved(Image.new("L", (90, 60)), "TIFF", dpi=dpi))
    assert image.size == (90, 60)


def test_pages_after_a_damaged_page_of_a_pdf() -> None:
    whole = pdf_of("/MediaBox [0 0 72 72]", "/MediaBox [0 0 36 72]")
    damaged = whole.replace(b"3 0 obj << /Type /Page", b"3 0 obj [ /Type /Page")
    assert widths_or_problems(damaged) == ["scan page 1 cannot be read as PDF", 150]


@pytest.mark.parametrize("damaged", [0, 1])
def test_pages_beside_a_damaged_picture_of_a_tiff(damaged: int) -> None:
    frames = [Image.effect_noise((60 + number, 60), 90) for number in range(3)]
    data = bytearray(saved(frames[0], "TIFF", save_all=True, append_images=frames[1:], compression="tiff_lzw"))
    with Image.open(io.BytesIO(data)) as opened:
        opened.seek(damaged)
        (start,) = opened.tag_v2[STRIP_OFFSETS]  # type: ignore[attr-defined]
    data[start : start + 500] = bytes(500)
    expected: list[int | str] = [60, 61, 62]
    expected[damaged] = f"scan page {damaged + 1} is damaged"
    assert widths_or_problems(bytes(data)) == expected


def test_pages_beside_one_of_unknown_size_in_a_tiff() -> None:
    frames = [Image.new("L", (60 + number, 60)) for number in range(3)]
    data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    width, nothing = (struct.pack("<HHLL", tag, LONG, 1, 61) for tag in (IMAGE_WIDTH, IMAGE_WIDTH - 1))
    assert data.count(width) == 1
    assert widths_or_problems(data.replace(width, nothing)) == [60, "scan page 2 is damaged", 62]


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "TIFF", "GIF", "WEBP", "HEIF", "PDF"])
def test_whatever_is_damaged_is_unreadable_at_worst(format_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    random, unreadable = Random(format_name), 0
    whole = small(format_name)
    until = time.monotonic() + SECONDS
    for _ in range(MUTATIONS):
        try:
            drawn(mutated(whole, random))
        except UnreadableError as error:
            assert error.message.startswith("scan")
            assert error.hint
            unreadable += 1
        if time.monotonic() > until:
            break
    assert unreadable
    assert capsys.readouterr() == ("", "")


def small(format_name: str) -> bytes:
    """Return a file of a few small pictures."""
    image = Image.effect_noise((64, 48), 90).convert("RGB")
    several = {"save_all": True, "append_images": [image.rotate(90)]}
    options = {"TIFF": {**several, "compression": "tiff_lzw"}, "GIF": several, "PDF": several}
    return saved(image, format_name, **options.get(format_name, {}))


def mutated(data: bytes, random: Random) -> bytes:
    """Return `data` with some bytes changed, mostly near its start or end, or truncated."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 4, 20))):
        place = random.randrange(min(len(data), random.choice((64, 512, len(data)))))
        changed[random.choice((place, -place))] = random.choice((0, 1, 127, 255, random.randrange(256)))
    return bytes(changed[: random.randrange(len(changed))] if random.random() < 0.2 else changed)


def drawn(data: bytes) -> list[Image.Image]:
    """Return the pictures in `data`."""
    return [page.picture() for page in pages(Document("scan", data))]


def read_in(document: Document) -> dict[str, list[str]]:
    """Return the codes of every page."""
    return {page.where: read_codes(page.picture()) for page in pages(document)}


def widths_or_problems(data: bytes) -> list[int | str]:
    """Return the width of every page in `data`, or its problem."""
    found: list[int | str] = []
    for page in pages(Document("scan", data)):
        try:
            found.append(page.picture().width)
        except UnreadableError as error:
            found.append(error.message.partition(":")[0])
    return found


def pdf_of(*sheets: str) -> bytes:
    """Return a PDF of empty pages with these entries."""
    kids = " ".join(f"{number} 0 R" for number, _ in enumerate(sheets, 3))
    objects = [
        "1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj",
        f"2 0 obj << /Type /Pages /Kids [{kids}] /Count {len(sheets)} >> endobj",
        *(f"{number} 0 obj << /Type /Page /Parent 2 0 R {sheet} >> endobj" for number, sheet in enumerate(sheets, 3)),
    ]
    return "\n".join(["%PDF-1.4", *objects, "trailer << /Root 1 0 R >>", "%%EOF"]).encode()
