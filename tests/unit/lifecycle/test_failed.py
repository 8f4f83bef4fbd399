"""A failed unit is reported as an alert, on the page and in the journal, with the next step."""

from pathlib import Path

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host import systemd as systemd_module
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.crash_count import LIMIT, too_many_crashes
from ecs_appliance.lifecycle.failed import RESTART, UNLATCH, tell_appliance_failed, tell_service_failed, tell_stopped
from ecs_appliance.lifecycle.latch import latch
from ecs_appliance.lifecycle.standby import stand_by
from ecs_appliance.reporting.topics import UNIT


class Systemd:
    """systemd's answers about any unit."""

    def __init__(self) -> None:
        self.known = {"Result": "exit-code", "InvocationID": "1"}
        self.tail = "INFO something\nerror: the disk is on fire\nmore"

    def unit_properties(self, *words: object) -> dict[str, str]:
        del words
        return self.known

    def journal_tail(self, *words: object, own: bool = False) -> str:
        del words, own
        return self.tail


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Systemd:
    made = Systemd()
    monkeypatch.setattr(systemd_module, "unit_properties", made.unit_properties)
    monkeypatch.setattr(systemd_module, "journal_tail", made.journal_tail)
    return made


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(Paths(tmp_path), SystemRunner())


def standing(context: Context) -> dict[str, tuple[str, str]]:
    return {alert.topic: (alert.message, alert.hint) for alert in context.alerts.standing(UNIT)}


@pytest.mark.parametrize("name", ["nginx", "nginx.service"])
def test_a_service_is_named_with_the_line_that_says_why(context: Context, systemd: Systemd, name: str) -> None:
    tell_service_failed(context, name)
    message, hint = standing(context)["unit:nginx.service"]
    assert message == "nginx.service failed: exit-code: error: the disk is on fire"
    assert hint.startswith("journalctl -u nginx")
    assert context.page.shown() is None


@pytest.mark.parametrize(
    ("known", "tail", "reason"),
    [
        ({"Result": "success"}, "", "a unit that it depends on failed"),
        ({"Result": "timeout"}, "", "timeout"),
        ({"Result": "signal", "AssertResult": "yes"}, "killed\n", "signal: killed"),
        ({"Result": "exit-code", "AssertResult": "no"}, "error: x", "the latch /run/appliance-failed is set"),
        ({}, "", "unknown"),
    ],
)
def test_the_reason_is_how_it_ended(
    context: Context, systemd: Systemd, known: dict[str, str], tail: str, reason: str
) -> None:
    systemd.known, systemd.tail = known, tail
    tell_service_failed(context, "nginx.service")
    assert standing(context)["unit:nginx.service"][0] == f"nginx.service failed: {reason}"


def test_what_a_process_said_itself_stays(context: Context, systemd: Systemd) -> None:
    context.alerts.put(f"{UNIT}prepare-ecs.service", "critical", "the migration failed", "look")
    tell_appliance_failed(context, "prepare-ecs.service")
    assert standing(context)["unit:prepare-ecs.service"] == ("the migration failed", "look")


@pytest.mark.parametrize(("is_latched", "hint"), [(False, RESTART), (True, UNLATCH)])
def test_the_page_says_what_failed_and_the_next_step(
    context: Context, systemd: Systemd, is_latched: bool, hint: str
) -> None:
    if is_latched:
        latch(context.paths, "why")
    tell_appliance_failed(context, "prepare-ecs.service")
    shown = context.page.shown()
    assert shown is not None
    assert (shown.kind, shown.next) == ("failed", hint)
    assert shown.error == "prepare-ecs.service failed: exit-code: error: the disk is on fire"


def test_the_page_keeps_what_failed_first(context: Context, systemd: Systemd) -> None:
    context.page.fail("the migration failed", "go back")
    tell_appliance_failed(context, "appliance.service")
    shown = context.page.shown()
    assert shown is not None
    assert (shown.error, shown.next) == ("the migration failed", f"go back; {RESTART}")
    tell_appliance_failed(context, "appliance.service")
    again = context.page.shown()
    assert again is not None
    assert again.next == shown.next


def test_a_stop_is_no_crash(context: Context) -> None:
    for _ in range(LIMIT):
        tell_stopped(context, "success")
    shown = context.page.shown()
    assert shown is not None
    assert (shown.kind, shown.next) == ("stopped", "systemctl start appliance")
    assert not too_many_crashes(context.paths)


def test_ten_crashes_are_too_many_and_a_stop_forgets_them(context: Context) -> None:
    for _ in range(LIMIT):
        assert not too_many_crashes(context.paths)
        tell_stopped(context, "exit-code")
    assert too_many_crashes(context.paths)
    shown = context.page.shown()
    assert shown is not None
    assert (shown.kind, shown.error) == ("failed", "the containers stopped (exit-code)")
    tell_stopped(context, "success")
    assert not too_many_crashes(context.paths)


def test_who_stands_by_has_not_stopped(context: Context) -> None:
    stand_by(context, "standby", next_step="wait")
    tell_stopped(context, "exit-code")
    shown = context.page.shown()
    assert shown is not None
    assert shown.kind == "standby"
