"""How failed backups are reported, and when they become critical."""

import time
from pathlib import Path

import pytest

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.lifecycle import backup
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.backups import read_backups, update_backups

HOUR = 3600


def fail(context: Context, began: float) -> None:
    with pytest.raises(ApplianceError), backup.alerting_on_failure(context, backup.TOPIC, began):
        raise RefusedError("the target is away", "bring it back")


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (31, {"backup failed: the target is away"}),
        (33, {"backup failed: the target is away", "the last backup is 33 hours old"}),
    ],
)
def test_a_failure_is_critical_once_the_last_good_one_is_32_hours_old(
    tmp_path: Path, hours: float, expected: set[str]
) -> None:
    context, now = Context(Paths(tmp_path)), time.time()
    update_backups(context.paths, success=now - hours * HOUR)
    fail(context, now)
    assert {alert.message for alert in context.alerts.standing()} == expected
    assert read_backups(context.paths).failed


def test_before_the_first_backup_there_is_no_age(tmp_path: Path) -> None:
    context = Context(Paths(tmp_path))
    fail(context, time.time())
    assert [alert.severity for alert in context.alerts.standing()] == ["warning"]
