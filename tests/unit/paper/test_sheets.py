import hashlib

import pypdfium2
import pytest

from ecs_appliance.paper.codes import Kind, pack, parts
from ecs_appliance.paper.pictures import Document, pages
from ecs_appliance.paper.reader import read_codes
from ecs_appliance.paper.sheets import Sheets, make_pdf
from ecs_appliance.paper.split import Scheme, encrypt, make_shares
from tests.papers import LABEL, codes_of, noise

TEXT = "#cloud-config\n" + "".join(f"# line {number}\n" for number in range(2, 120))


def plain(data: bytes = TEXT.encode(), text: str = TEXT) -> Sheets:
    return Sheets(LABEL, hashlib.sha256(data).digest(), codes_of(data), text)


def shares(data: bytes = TEXT.encode()) -> list[Sheets]:
    encrypted, key = encrypt(pack(data, LABEL))
    digest = hashlib.sha256(encrypted).digest()
    codes = parts(encrypted, digest, Kind.SPLIT)
    return [Sheets(LABEL, digest, codes, share=share) for share in make_shares(key, Scheme(2, 3), digest)]


def texts_of(pdf: bytes) -> list[str]:
    with pypdfium2.PdfDocument(pdf) as document:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]


def test_text_codes_and_instructions_in_this_order() -> None:
    text = texts_of(make_pdf(plain()))
    assert len(text) == 4
    assert "1 #cloud-config" in text[0] and "119 # line 119" in text[1]
    assert "1/1" in text[2]
    assert "How to get this file back" in text[3]


def test_every_page_tells_of_what_it_is() -> None:
    for number, text in enumerate(texts_of(make_pdf(plain())), 1):
        assert "ecs.example.org · env.yml of 2026-03-01 12:30 UTC" in text
        assert f"page {number} of 4" in text
        assert "Secret" in text


def test_code_pages_carry_number_count_and_hash() -> None:
    data = noise(12_000)
    *code_pages, last = texts_of(make_pdf(plain(data, "")))
    captions = [word for text in code_pages for word in text.split() if word.endswith("/10")]
    assert captions == [f"{number}/10" for number in range(1, 11)]
    assert all(hashlib.sha256(data).hexdigest() in text for text in (*code_pages, last))


def test_at_most_four_codes_a_page() -> None:
    data = noise(12_000)
    found = [read_codes(page.picture()) for page in pages(Document("pdf", make_pdf(plain(data, ""))))]
    assert [len(codes) for codes in found] == [4, 4, 2, 0]
    assert sorted(text for codes in found for text in codes) == [part.text for part in codes_of(data)]


def test_the_same_input_makes_the_same_pdf() -> None:
    assert make_pdf(plain()) == make_pdf(plain())


def test_a_share_shows_its_words_and_nothing_of_the_file() -> None:
    for sheets in shares():
        text = texts_of(make_pdf(sheets))
        assert sheets.share
        assert f"Share {sheets.share.number} of 3" in text[0] and "Any 2 shares recover" in text[0]
        assert sheets.share.digest in text[0]
        assert all(word in text[0] for word in sheets.share.words.split())
        assert "# line" not in "".join(text)
        assert hashlib.sha256(TEXT.encode()).hexdigest() not in "".join(text)


def test_the_last_page_of_a_share_tells_how_to_join_shares() -> None:
    last = texts_of(make_pdf(shares()[0]))[-1]
    assert "shamir recover" in last and "openssl enc -d -aes-256-ctr -K KEY" in last


@pytest.mark.parametrize("text", ["ßäöü €", "č ђ 漢", "a" * 500, "\ttab\x00"])
def test_any_text_can_be_printed(text: str) -> None:
    assert make_pdf(plain(text.encode(), text)).startswith(b"%PDF-")
