import hashlib
import re
from pathlib import Path

import pypdfium2
import pytest

from ecs_appliance.paper.codes import CodeKind, pack, parts
from ecs_appliance.paper.instructions import instructions
from ecs_appliance.paper.pictures import Document, pages
from ecs_appliance.paper.scan_reader import read_codes
from ecs_appliance.paper.sheet_layout import FOOT, FOOT_LEADING, MARGIN, WIDTH, Sheets, make_pdf
from ecs_appliance.paper.split import Scheme, encrypt, make_shares
from ecs_appliance.paper.words import ENGLISH, GERMAN, SOFTWARE
from tests.papers import LABEL, codes_of, noise

CHECKOUT = Path(__file__).parents[3]
TEXT = "#cloud-config\n" + "".join(f"# line {number}\n" for number in range(2, 120))


def plain(data: bytes = TEXT.encode(), text: str = TEXT) -> Sheets:
    return Sheets(LABEL, hashlib.sha256(data).digest(), codes_of(data), text)


def shares(data: bytes = TEXT.encode()) -> list[Sheets]:
    encrypted, key = encrypt(pack(data, LABEL))
    digest = hashlib.sha256(encrypted).digest()
    codes = parts(encrypted, digest, CodeKind.SPLIT)
    return [Sheets(LABEL, digest, codes, share=share) for share in make_shares(key, Scheme(2, 3), digest)]


def texts_of(pdf: bytes) -> list[str]:
    with pypdfium2.PdfDocument(pdf) as document:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]


def test_text_codes_and_instructions_in_this_order() -> None:
    text = texts_of(make_pdf(plain()))
    assert len(text) == 5
    assert "1 #cloud-config" in text[0] and "119 # line 119" in text[1]
    assert "1/1" in text[2]
    assert "So stellen Sie diese Datei wieder her" in text[3]
    assert "How to recover this file" in text[4]


def test_every_page_tells_of_what_it_is() -> None:
    for number, text in enumerate(texts_of(make_pdf(plain())), 1):
        assert "ecs.example.org · env.yml of 2026-03-01 12:30 UTC" in text
        assert f"page {number} of 5" in text or (number == 4 and "Seite 4 von 5" in text)
        assert "Secret: anyone who has this paper has the keys to the site." in text
        assert "Geheim: Wer dieses Papier hat, hat die Schlüssel der Anwendung." in text


def test_code_pages_carry_number_count_and_hash() -> None:
    data = noise(12_000)
    *code_pages, german, english = texts_of(make_pdf(plain(data, "")))
    captions = [word for text in code_pages for word in text.split() if word.endswith("/10")]
    assert captions == [f"{number}/10" for number in range(1, 11)]
    assert all(hashlib.sha256(data).hexdigest() in text for text in (*code_pages, german, english))


def test_at_most_four_codes_a_page() -> None:
    data = noise(12_000)
    found = [read_codes(page.picture()) for page in pages(Document("pdf", make_pdf(plain(data, ""))))]
    assert [len(codes) for codes in found] == [4, 4, 2, 0, 0]
    assert sorted(text for codes in found for text in codes) == [part.text for part in codes_of(data)]


def test_the_same_input_makes_the_same_pdf() -> None:
    assert make_pdf(plain()) == make_pdf(plain())


def test_a_share_shows_its_words_and_nothing_of_the_file() -> None:
    for sheets in shares():
        text = texts_of(make_pdf(sheets))
        assert sheets.share
        assert f"Share {sheets.share.number} of 3" in text[0] and "Any 2 shares recover" in text[0]
        assert f"Teil {sheets.share.number} von 3" in text[0] and "2 beliebige Teile ergeben" in text[0]
        assert sheets.share.digest in text[0]
        assert all(word in text[0] for word in sheets.share.words.split())
        assert "# line" not in "".join(text)
        assert hashlib.sha256(TEXT.encode()).hexdigest() not in "".join(text)


def test_the_page_at_the_end_tells_in_both_languages_what_it_is_and_where_the_software_is() -> None:
    for sheets in (plain(), shares()[0]):
        *_, german, english = texts_of(make_pdf(sheets))
        for words in ("jene Datei, die den Server einer Ethikkommission", "übersiedelt", "„Recover a lost machine“"):
            assert words in german, words
        for words in ("the one file that describes the server", "If they have moved", "“Recover a lost machine”"):
            assert words in english, words
        for text in (german, english):
            assert SOFTWARE in text and "recover-from-backup.sh --yes-i-am-sure" in text
        assert "In English: next page" in german and "Auf Deutsch: vorige Seite" in english


def test_the_manual_has_the_chapter_that_the_paper_names() -> None:
    assert "Recover a lost machine\n" in (CHECKOUT / "docs/manual.md").read_text()
    for words in (GERMAN, ENGLISH):
        assert "Recover a lost machine" in words.server


def test_the_last_page_of_a_share_tells_how_to_join_shares() -> None:
    *_, german, english = texts_of(make_pdf(shares()[0]))
    for last in (german, english):
        assert "shamir recover" in last and "openssl enc -d -aes-256-ctr -K KEY" in last
    assert "Das ist einer von 3 Teilen." in german and "This is one of 3 shares." in english


@pytest.mark.parametrize("scheme", [None, Scheme(2, 3)])
def test_both_languages_give_the_same_commands(scheme: Scheme | None) -> None:
    german, english = (
        [each.text for each in instructions(words, b"digest", 4, scheme) if each.kind == "command"]
        for words in (GERMAN, ENGLISH)
    )
    assert german == english and len(german) == 4


def test_both_languages_say_the_same_with_the_same_values() -> None:
    values = re.compile(r"\{\w+\}|\\\S+|[A-Z]{3,}-?\d*|https?://\S+|\b\d{2,}\b")
    for name, german in vars(GERMAN).items():
        english = vars(ENGLISH)[name]
        assert sorted(values.findall(str(german))) == sorted(values.findall(str(english))), name
        str(german).encode("cp1252")


@pytest.mark.parametrize("sheets", [plain(), shares()[0]], ids=["whole", "share"])
def test_nothing_runs_out_of_the_page_or_into_the_foot(sheets: Sheets) -> None:
    with pypdfium2.PdfDocument(make_pdf(sheets)) as document:
        for number, page in enumerate(document, 1):
            text = page.get_textpage()
            boxes = [text.get_charbox(index) for index in range(text.count_chars())]
            assert max(right for _, _, right, _ in boxes) <= WIDTH - MARGIN + 1, number
            bottoms = sorted({round(bottom) for _, bottom, _, _ in boxes if bottom > FOOT + 1.5 * FOOT_LEADING})
            assert bottoms[0] > FOOT + 2.5 * FOOT_LEADING, number


@pytest.mark.parametrize("text", ["ßäöü €", "č ђ 漢", "a" * 500, "\ttab\x00"])
def test_any_text_can_be_printed(text: str) -> None:
    assert make_pdf(plain(text.encode(), text)).startswith(b"%PDF-")
