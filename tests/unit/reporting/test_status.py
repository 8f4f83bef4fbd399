"""The status page: what operators see, what visitors see, and what it never reveals."""

import json
import re
from pathlib import Path

import pytest

from ecs_appliance.core.log import register_secret
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.steps import StepEvent
from ecs_appliance.reporting.status import HEADLINES, STEPS, StatusPage
from ecs_appliance.reporting.visitor_page import TEXTS, SiteNotice
from tests.pages import Page


@pytest.fixture
def page(tmp_path: Path) -> StatusPage:
    return StatusPage(Paths(tmp_path))


def html(page: StatusPage) -> str:
    return (page.paths.www / "503.html").read_text()


def told(page: StatusPage) -> str:
    """Return everything that is public."""
    return html(page) + (page.paths.www / "visitors.json").read_text()


def test_a_step_shows_its_place_and_its_usual_duration(page: StatusPage) -> None:
    page(StepEvent("images", "building", "done", seconds=41.0))
    page(StepEvent("images", "building", "running"))
    status = json.loads((page.paths.www / "status.json").read_text())
    assert (status["number"], status["of"], status["usual"], status["kind"]) == (7, 9, 41.0, "starting")
    assert (status["step"], status["step_de"]) == ("Building the application", "Anwendung wird gebaut")


def test_visitors_read_until_when_it_usually_takes(page: StatusPage) -> None:
    for name, seconds in (("environment", 7.0), ("images", 41.0), ("containers", 12.5)):
        page(StepEvent(name, name, "done", seconds=seconds))
    page(StepEvent("images", "images", "running"))
    shown = page.shown()
    assert shown is not None
    assert shown.until - shown.since == 54
    assert re.search(r"takes until about \d\d:\d\d\.", html(page))
    assert re.search(r"dauert es bis etwa \d\d:\d\d Uhr\.", html(page))


def test_without_an_earlier_start_nobody_says_until_when(page: StatusPage) -> None:
    page(StepEvent("images", "images", "running"))
    assert "until about" not in html(page)
    assert json.loads((page.paths.www / "visitors.json").read_text())["until"] == 0


def test_the_site_is_away_since_the_page_is_shown_however_often_it_changes(page: StatusPage) -> None:
    page.show("stopped")
    file = page.paths.www / "status.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "began": 1000, "since": 1000}))
    page.show("starting")
    page.fail("broken", "repair it")
    shown = page.shown()
    assert shown is not None
    assert shown.began == 1000 < shown.since
    assert json.loads((page.paths.www / "visitors.json").read_text())["since"] == 1000


def test_visitors_are_told_nothing_of_the_machine(page: StatusPage) -> None:
    page(StepEvent("images", "images", "running"))
    page.fail("/app/ecs on host.example.org at 4192424 failed", "rm /run/appliance-failed; systemctl restart appliance")
    for word in ("/app", "/run", "example.org", "4192424", "systemctl", "appliance", "Building", "gebaut"):
        assert word not in told(page), word
    status = json.loads((page.paths.www / "status.json").read_text())
    assert "4192424" in status["error"]
    assert "systemctl" in status["next"]


def test_every_state_is_told_in_both_languages_with_the_site_and_whom_to_ask(page: StatusPage) -> None:
    assert TEXTS.keys() == HEADLINES.keys()
    page.hold(SiteNotice("ecs.example.org", "<Frau> & Büro, +43 1 23"))
    for kind in HEADLINES:
        page.show(kind)
        for text in (*TEXTS[kind][0], *TEXTS[kind][1], "ecs.example.org", "&lt;Frau&gt; &amp; Büro, +43 1 23"):
            assert text in html(page), (kind, text)


@pytest.mark.parametrize("language", ["de", "en"])
def test_each_language_is_marked_as_such(page: StatusPage, language: str) -> None:
    page.hold(SiteNotice("ecs.example.org"))
    for name, seconds in (("environment", 7.0), ("images", 41.0)):
        page(StepEvent(name, name, "done", seconds=seconds))
    page(StepEvent("images", "images", "running"))
    file = page.paths.www / "503.html"
    shown = Page(file.read_bytes(), language)
    assert (shown.charset, shown.title, shown.unclosed) == ("utf-8", "ecs.example.org", [])
    assert shown.headlines == {"en": "This site is being started", "de": "Diese Seite wird gerade gestartet"}
    assert "the office of the ethics commission" in shown.texts["en"]
    assert re.search(r"Seit \d\d\.\d\d\.\d{4}, \d\d:\d\d Uhr\. Üblicherweise dauert es bis etwa", shown.texts["de"])
    assert "wenden Sie sich bitte an das Büro der Ethikkommission." in shown.texts["de"]


def test_operators_read_it_in_both_languages(page: StatusPage) -> None:
    for english, german in (*HEADLINES.values(), *STEPS.values()):
        assert english and german and english != german
    page.show("stopped")
    shown = json.loads((page.paths.www / "status.json").read_bytes().decode())
    assert (shown["headline"], shown["headline_de"]) == ("Stopped", "Außer Betrieb")


def test_a_contact_cannot_speak_to_nginx(page: StatusPage) -> None:
    page.hold(SiteNotice('<!--# include file="/etc/passwd" -->', '"><!--# echo var="ssl_client_serial" -->'))
    page.show("failed")
    assert re.findall(r"<!--#.*?-->", html(page)) == ['<!--# echo var="visitor_language" -->']


def test_what_the_release_before_showed_is_written_anew(page: StatusPage) -> None:
    page.show("failed", error="secret path")
    (page.paths.www / "503.html").write_text("secret path")
    assert not page.holds(SiteNotice("ecs.example.org"))
    page.hold(SiteNotice("ecs.example.org"))
    assert page.holds(SiteNotice("ecs.example.org"))
    assert "secret path" not in told(page)
    assert "ecs.example.org" in html(page)


def test_a_site_that_is_up_is_not_taken_away_by_a_new_name(page: StatusPage) -> None:
    page.show("failed")
    (page.paths.www / "503.html").unlink()
    page.hold(SiteNotice("ecs.example.org"))
    assert not (page.paths.www / "503.html").exists()


def test_a_damaged_name_does_not_stop_a_start(page: StatusPage) -> None:
    page.paths.state.mkdir(parents=True)
    for text in ("{broken", "[]", '{"other": 1}'):
        (page.paths.state / "site.json").write_text(text)
        page.show("starting")
        assert "<header>ECS</header>" in html(page)


def test_a_failure_keeps_the_step_and_names_what_to_do(page: StatusPage) -> None:
    page(StepEvent("images", "building", "running"))
    page.fail("the build failed:\nlong log", "correct the source")
    shown = page.shown()
    assert shown is not None
    assert (shown.kind, shown.number, shown.error, shown.next) == (
        "failed",
        7,
        "the build failed: long log",
        "correct the source",
    )


def test_texts_are_escaped_and_secrets_masked(page: StatusPage) -> None:
    register_secret("open sesame")
    page.fail("<script>alert('open sesame')</script>", "")
    assert "<script>alert" not in told(page)
    assert "open sesame" not in told(page) + (page.paths.www / "status.json").read_text()


def test_it_asks_nothing_of_others(page: StatusPage) -> None:
    page.show("starting")
    assert "http://" not in html(page)
    assert "https://" not in html(page)
    assert "src=" not in html(page)


def test_hidden_is_gone_and_the_held_page_stays(page: StatusPage) -> None:
    page.hold(SiteNotice())
    page.show("starting")
    page.hide()
    assert page.shown() is None
    assert [entry.name for entry in page.paths.www.iterdir()] == ["unavailable.html"]


def test_damaged_durations_do_not_stop_a_start(page: StatusPage) -> None:
    file = page.paths.at("/var/lib/ecs-appliance/durations.json")
    file.parent.mkdir(parents=True)
    file.write_text("{broken")
    page(StepEvent("images", "building", "running"))
    assert "503.html" in [entry.name for entry in page.paths.www.iterdir()]
