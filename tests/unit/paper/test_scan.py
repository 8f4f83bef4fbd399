import errno
import gzip
import json
import os
import stat
from pathlib import Path

import pytest
import segno
from PIL import Image, ImageFilter

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.paper.codes import DamagedCodeError
from ecs_appliance.paper.collection import IncompleteError, MixedError
from ecs_appliance.paper.pictures import UnreadableError, on_disk, pages
from ecs_appliance.paper.scan import scan
from tests.papers import LABEL, make_paper, noise, old_codes_of

DATA = noise(12_000)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Scan the three pages with codes; two more pages contain instructions."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "env.yml.pdf").write_bytes(make_paper(DATA))
    files = []
    for number, page in enumerate(pages(on_disk(folder / "env.yml.pdf"))):
        page.picture().save(folder / f"{number}.png")
        files.append(folder / f"{number}.png")
    return files[-5:-2]


def test_pages_in_any_order_give_the_file(scans: list[Path], tmp_path: Path) -> None:
    told: list[str] = []
    output = tmp_path / "env.yml"
    found = scan([on_disk(file) for file in scans[::-1]], output, progress=told.append)
    assert output.read_bytes() == DATA
    assert (found.codes, found.label) == (10, LABEL)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert told == [str(file) for file in scans[::-1]]
    assert list(tmp_path.iterdir()) == [output]
    assert output.stat().st_mtime == LABEL.modified.timestamp()


def test_a_pdf_is_read_as_a_whole(scans: list[Path], tmp_path: Path) -> None:
    scan([on_disk(scans[0].with_name("env.yml.pdf"))], tmp_path / "env.yml")
    assert (tmp_path / "env.yml").read_bytes() == DATA


def test_it_is_gzipped_where_the_name_says_so(scans: list[Path], tmp_path: Path) -> None:
    scan([on_disk(file) for file in scans], tmp_path / "env.yml.gz")
    assert gzip.decompress((tmp_path / "env.yml.gz").read_bytes()) == DATA


def test_what_is_missing_is_told_and_may_be_added_later(scans: list[Path], tmp_path: Path) -> None:
    output, partial = tmp_path / "env.yml", tmp_path / "env.yml.partial"
    with pytest.raises(IncompleteError, match="codes 5, 6, 7, 8 of 10 are missing") as caught:
        scan([on_disk(scans[0]), on_disk(scans[2])], output)
    assert f"appliance env scan MORE… --output {output}" in caught.value.hint
    assert not output.exists()
    assert stat.S_IMODE(partial.stat().st_mode) == 0o600
    scan([on_disk(scans[1])], output)
    assert output.read_bytes() == DATA
    assert not partial.exists()


def test_pages_of_another_file_do_not_spoil_what_was_read(scans: list[Path], tmp_path: Path) -> None:
    output, other = tmp_path / "env.yml", tmp_path / "other.pdf"
    other.write_bytes(make_paper(noise(500, seed=1)))
    with pytest.raises(IncompleteError):
        scan([on_disk(scans[0])], output)
    with pytest.raises(MixedError, match=r"\.png\n.*other\.pdf page 2$") as caught:
        scan([on_disk(other)], output)
    assert str(output) + ".partial" in caught.value.hint
    scan([on_disk(file) for file in scans[1:]], output)
    assert output.read_bytes() == DATA


def test_nothing_is_overwritten(scans: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "env.yml"
    output.write_text("mine")
    with pytest.raises(RefusedError, match="already exists"):
        scan([on_disk(file) for file in scans], output)
    assert output.read_text() == "mine"


def test_a_file_that_cannot_be_read_does_not_matter_where_the_rest_suffices(scans: list[Path], tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("keep it dry")
    scan([on_disk(file) for file in (notes, *scans)], tmp_path / "env.yml")
    assert (tmp_path / "env.yml").read_bytes() == DATA


def test_a_file_that_cannot_be_read_is_named_where_something_is_missing(scans: list[Path], tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("keep it dry")
    with pytest.raises(IncompleteError, match="are missing") as caught:
        scan([on_disk(notes), on_disk(scans[0])], tmp_path / "env.yml")
    assert caught.value.message.count(f"{notes} is neither a PDF nor a picture") == 1


def test_only_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        scan([on_disk(tmp_path / "nowhere.png")], tmp_path / "env.yml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": 1}', '[["a"]]', '{"ab": 1}', "[" * 100_000])
def test_a_damaged_memory_is_no_reason_to_crash(scans: list[Path], tmp_path: Path, content: str) -> None:
    (tmp_path / "env.yml.partial").write_text(content)
    with pytest.raises(ApplianceError, match="is damaged"):
        scan([on_disk(scans[0])], tmp_path / "env.yml")


def test_the_memory_keeps_only_codes_of_ours(scans: list[Path], tmp_path: Path) -> None:
    with pytest.raises(IncompleteError):
        scan([on_disk(scans[0])], tmp_path / "env.yml")
    kept = json.loads((tmp_path / "env.yml.partial").read_text())
    assert [where for _, where in kept] == [str(scans[0])] * 4


def test_a_folder_that_cannot_be_written(scans: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ApplianceError, match="cannot read"):
        scan([on_disk(file) for file in scans], tmp_path / "file" / "env.yml")


def test_two_sheets_in_one_picture_are_both_looked_at_closely(scans: list[Path], tmp_path: Path) -> None:
    clean, blurred, last = (Image.open(file).convert("L") for file in scans)
    both = Image.new("L", (clean.width * 2, clean.height), "white")
    both.paste(clean, (0, 0))
    both.paste(blurred.filter(ImageFilter.GaussianBlur(3.5)), (clean.width, 0))
    both.save(tmp_path / "both.png")
    last.save(tmp_path / "last.png")
    scan([on_disk(tmp_path / "both.png"), on_disk(tmp_path / "last.png")], tmp_path / "env.yml")
    assert (tmp_path / "env.yml").read_bytes() == DATA


def test_what_the_paper_itself_advises_is_not_forgotten(tmp_path: Path) -> None:
    texts = old_codes_of(gzip.compress(DATA))[:-1]
    for number, text in enumerate(texts):
        code = segno.make(text, error="m", mask=0, boost_error=False, micro=False)
        code.save(str(tmp_path / f"{number}.png"), scale=3, border=4)
    with pytest.raises(DamagedCodeError) as caught:
        scan([on_disk(tmp_path / f"{number}.png") for number in range(len(texts))], tmp_path / "env.yml")
    assert f"scan the page with code {len(texts):02}" in caught.value.hint
    assert "env.yml.partial" in caught.value.hint


def test_what_cannot_be_kept_is_told_beside_what_is_missing(
    scans: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(IncompleteError, match="are missing") as caught:
        scan([on_disk(scans[0])], tmp_path / "env.yml")
    assert caught.value.hint.startswith(f"the codes could not be saved to {tmp_path}/env.yml.partial: No space")
    assert list(tmp_path.iterdir()) == []
