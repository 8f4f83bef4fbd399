"""Alerts are reported once, kept until they are resolved, and counted."""

import logging
from pathlib import Path

import pytest

from ecs_appliance.core.log import register_secret
from ecs_appliance.core.paths import Paths
from ecs_appliance.reporting import alerts as module
from ecs_appliance.reporting.alerts import Alerts


@pytest.fixture
def alerts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Alerts:
    caplog.set_level(logging.INFO, "ecs_appliance")
    return Alerts(Paths(tmp_path))


def metrics(alerts: Alerts) -> str:
    return (alerts.paths.metrics / "appliance-alerts.prom").read_text()


def test_an_alert_is_told_once_and_ends_with_a_word(alerts: Alerts, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        alerts.put("space:/", "warning", "the disk is full", "df -h")
    assert [record.message for record in caplog.records] == ["warning: the disk is full\n  → df -h"]
    assert 'appliance_alert{topic="space:/",severity="warning"} 1' in metrics(alerts)
    alerts.clear("space:/")
    alerts.clear("space:/")
    assert [record.message for record in caplog.records[1:]] == ["resolved: the disk is full"]
    assert "appliance_alert" not in metrics(alerts)


def test_an_alert_stands_where_metrics_cannot_be_written(alerts: Alerts, caplog: pytest.LogCaptureFixture) -> None:
    alerts.paths.metrics.parent.mkdir(parents=True)
    alerts.paths.metrics.touch()
    alerts.put("space:/", "warning", "the disk is full")
    assert [alert.topic for alert in alerts.standing()] == ["space:/"]
    assert "the metrics of alerts could not be written" in caplog.text


def test_what_gets_worse_is_told_again_and_keeps_its_beginning(alerts: Alerts) -> None:
    alerts.put("certificate:a", "warning", "not renewed")
    since = alerts.standing()[0].since
    alerts.put("certificate:a", "critical", "not renewed")
    assert [(alert.severity, alert.since) for alert in alerts.standing()] == [("critical", since)]


def test_what_stays_is_told_each_day(
    alerts: Alerts, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts.put("clock", "warning", "still")
    monkeypatch.setattr(module, "REPEAT_SECONDS", 0)
    alerts.put("clock", "warning", "still")
    assert len(caplog.records) == 2


def test_the_worst_comes_first_and_secrets_never(alerts: Alerts) -> None:
    register_secret("hunter22")
    alerts.put("site", "warning", "password hunter22 was refused")
    alerts.put("latch", "critical", "worse")
    assert [alert.message for alert in alerts.standing()] == ["worse", "password ***** was refused"]


def test_a_damaged_file_is_no_alert(alerts: Alerts) -> None:
    alerts.put("site", "warning", "x")
    for file in (alerts.paths.state / "alerts").iterdir():
        file.write_text("{")
    assert alerts.standing() == []
    alerts.put("site", "warning", "x")
    assert len(alerts.standing()) == 1
