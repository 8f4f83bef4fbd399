import io
from pathlib import Path

import pytest
from PIL import Image

from ecs_appliance.paper.pictures import Document, UnreadableError, on_disk, pages
from ecs_appliance.paper.reader import read_codes
from ecs_appliance.paper.sheets import make_pdf
from tests.papers import codes_of
from tests.unit.paper.test_sheets import plain

TEXT = codes_of(plain().text.encode())[0].text


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """The page with the code."""
    return [page.image for page in pages(Document("pdf", make_pdf(plain())))][2]


def saved(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "TIFF", "HEIF", "WEBP", "BMP"])
def test_formats(picture: Image.Image, format_name: str) -> None:
    (page,) = pages(Document("scan", saved(picture, format_name)))
    assert page.where == "scan"
    assert read_codes(page.image) == [TEXT]


@pytest.mark.parametrize("mode", ["1", "RGB", "CMYK", "P", "I", "I;16"])
def test_colours_and_depths(picture: Image.Image, mode: str) -> None:
    image = picture.point(lambda level: level * 257, "I") if mode.startswith("I") else picture.convert(mode)
    data = saved(image.convert(mode), "TIFF" if mode in ("CMYK", "I") else "PNG")
    (page,) = pages(Document("scan", data))
    assert read_codes(page.image) == [TEXT]


def test_what_is_transparent_is_paper(picture: Image.Image) -> None:
    image = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    image.putalpha(picture.point(lambda level: 255 - level))
    (page,) = pages(Document("scan", saved(image, "PNG")))
    assert read_codes(page.image) == [TEXT]


def test_a_picture_of_several_pages(picture: Image.Image) -> None:
    blank = Image.new("L", picture.size, "white")
    data = saved(blank, "TIFF", save_all=True, append_images=[picture])
    found = list(pages(Document("scans.tif", data)))
    assert [page.where for page in found] == ["scans.tif page 1", "scans.tif page 2"]
    assert read_codes(found[1].image) == [TEXT]


@pytest.mark.parametrize("dots", [72, 300, 600])
def test_a_pdf_of_scans_whatever_size_its_pages_claim(picture: Image.Image, dots: int) -> None:
    (page,) = pages(Document("scan.pdf", saved(picture.convert("RGB"), "PDF", resolution=dots)))
    assert page.where == "scan.pdf page 1"
    assert read_codes(page.image) == [TEXT]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no PDF and no picture"),
        (b"appliance: {}", "no PDF and no picture"),
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
        list(pages(Document("scan", saved(picture, "PNG")[:-5000])))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        list(pages(on_disk(tmp_path / "scan.png")))


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="Is a directory"):
        list(pages(on_disk(tmp_path)))


def test_a_picture_too_large_to_unpack() -> None:
    bomb = saved(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(UnreadableError, match="pixels"):
        list(pages(Document("bomb.png", bomb)))
