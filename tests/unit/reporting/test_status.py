"""The status page: what it says, and what it never lets through."""

import json
from pathlib import Path

import pytest

from ecs_appliance.core.log import register_secret
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.steps import StepEvent
from ecs_appliance.reporting.status import StatusPage


@pytest.fixture
def page(tmp_path: Path) -> StatusPage:
    return StatusPage(Paths(tmp_path))


def html(page: StatusPage) -> str:
    return (page.paths.www / "503.html").read_text()


def test_a_step_shows_its_place_and_its_usual_duration(page: StatusPage) -> None:
    page(StepEvent("images", "building", "done", seconds=41.0))
    page(StepEvent("images", "building", "running"))
    status = json.loads((page.paths.www / "status.json").read_text())
    assert (status["number"], status["of"], status["usual"], status["kind"]) == (7, 9, 41.0, "starting")
    assert "Building the application" in html(page)
    assert "Anwendung wird gebaut" in html(page)


def test_a_failure_keeps_the_step_and_names_what_to_do(page: StatusPage) -> None:
    page(StepEvent("images", "building", "running"))
    page.fail("the build failed:\nlong log", "correct the source")
    shown = page.shown()
    assert shown is not None
    assert (shown.kind, shown.number, shown.error, shown.next) == (
        "failed",
        7,
        "the build failed:",
        "correct the source",
    )


def test_texts_are_escaped_and_secrets_masked(page: StatusPage) -> None:
    register_secret("open sesame")
    page.fail("<script>alert('open sesame')</script>", "")
    assert "<script>alert" not in html(page)
    assert "open sesame" not in html(page) + (page.paths.www / "status.json").read_text()


def test_it_asks_nothing_of_others(page: StatusPage) -> None:
    page.show("starting")
    assert "http://" not in html(page)
    assert "https://" not in html(page)
    assert "src=" not in html(page)


def test_hidden_is_gone_and_the_held_page_stays(page: StatusPage) -> None:
    page.hold()
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
