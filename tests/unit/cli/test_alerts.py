"""The output of `appliance alerts`."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ecs_appliance.cli.alerts import alerts
from ecs_appliance.core.paths import Paths
from ecs_appliance.reporting.alerts import Alerts


def test_a_message_of_several_lines_is_shown_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Alerts(Paths(tmp_path))
    known.put("backup", "critical", "backup failed:\n\tIs it \x1b[2Jrunning?", "look")
    monkeypatch.setattr("ecs_appliance.reporting.alerts.Alerts", lambda _: known)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    app = typer.Typer()
    app.command()(alerts)
    done = CliRunner().invoke(app)
    assert done.exit_code == 1
    first, *others = done.stdout.splitlines()
    assert first.endswith("  backup failed:")
    assert others == ["  Is it \\x1b[2Jrunning?", "  → look"]
