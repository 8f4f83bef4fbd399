"""nginx's error pages are in both languages, and reveal nothing about the machine."""

import re
from pathlib import Path

import jinja2
import pytest

from tests.pages import Page

STATES = Path(__file__).parents[3] / "salt/states"
FILES = STATES / "nginx/files"
NAMES = sorted(file.stem for file in (FILES / "refusals").iterdir())
# Commands, paths, host names, URLs, commits.
OF_THE_MACHINE = re.compile(
    r"systemctl|journalctl|appliance|nginx|docker|\.yml|/[a-z]+/|https?:|example\.org|\b[0-9a-f]{7,}\b"
)


def rendered(name: str) -> bytes:
    """Return the page as Salt renders it."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(STATES), autoescape=True)
    return environment.get_template(f"nginx/files/refusals/{name}.html").render().encode()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", ["de", "en"])
def test_each_page_is_whole_in_both_languages(name: str, language: str) -> None:
    html = rendered(name)
    page = Page(html, language)
    assert page.charset == "utf-8" and html.index(b"utf-8") < 1024
    assert page.unclosed == []
    assert page.headlines.keys() == page.texts.keys() == {"en", "de"}
    assert page.title == f"{page.headlines['de']} · {page.headlines['en']}"
    assert b"<!--#" not in html.replace(b'<!--# echo var="visitor_language" -->', b"", 1)


@pytest.mark.parametrize("name", NAMES)
def test_no_page_tells_of_the_machine(name: str) -> None:
    page = Page(rendered(name), "de")
    for text in (*page.headlines.values(), *page.texts.values()):
        assert not OF_THE_MACHINE.search(text), text


def test_german_is_german() -> None:
    for name in NAMES:
        page = Page(rendered(name), "de")
        german, english = (f" {page.headlines[key]} {page.texts[key]} " for key in ("de", "en"))
        assert re.search(r" (?:Sie|Ihr|Ihre|Das|Der|Die|Diese) ", german) and not re.search(
            r" (?:the|your) ", german
        ), name
        assert re.search(r" (?:[Tt]he|[Yy]our|[Tt]his) ", english) and not re.search(r"[äöüÄÖÜß]", english), name


def test_nginx_names_these_pages_and_no_others() -> None:
    text = "".join(file.read_text() for file in FILES.iterdir() if file.suffix in (".inc", ".conf"))
    named = set(re.findall(r"/appliance-refusal/([a-z-]+)\.html", text))
    table = re.search(r"map \$ssl_client_verify \$refusal \{(.*?)\}", text, re.DOTALL)
    assert table
    named |= set(re.findall(r"([a-z-]+);", table[1]))
    assert named == set(NAMES)
