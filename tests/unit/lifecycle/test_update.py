"""When an update restarts the site, and when it does not."""

import re
from pathlib import Path
from typing import Any

import pytest

from ecs_appliance.app import base, migration
from ecs_appliance.host import apt, docker, git
from ecs_appliance.lifecycle import release, update
from ecs_appliance.lifecycle.update import plan_restart

UNIT = Path(__file__).parents[3] / "salt/states/appliance/files/units/appliance-update.service"
SAME: dict[str, Any] = {
    "env_changed": False,
    "changed_states": ["file.managed /etc/nginx/nginx.conf"],
    "release": "a",
    "running_release": "a",
}


def test_what_takes_effect_by_itself_needs_no_restart() -> None:
    assert plan_restart(**SAME) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"env_changed": True}, "the environment changed"),
        ({"changed_states": ["file.managed /app/etc/ecs/docker-compose.yml"]}, "the containers' configuration changed"),
        ({"release": "b"}, "the appliance has a new release"),
    ],
)
def test_what_the_containers_have_to_learn_does(change: dict[str, Any], reason: str) -> None:
    assert plan_restart(**{**SAME, **change}) == [reason]


def test_systemd_waits_longer_than_all_that_an_update_may_wait_for() -> None:
    """A new release takes over in the same unit, and starts from the beginning."""
    begin = update.START_DEADLINE + update.LOCK_WAIT + git.FETCH_SECONDS + release.BUILD_TIMEOUT
    packages, images = 3 * apt.SECONDS, base.BOOTSTRAP_SECONDS + 3 * docker.BUILD_SECONDS
    most = 2 * begin + 3 * git.FETCH_SECONDS + packages + images + update.RESTART_TIMEOUT
    hours = re.search(r"^TimeoutStartSec=(\d+)h$", UNIT.read_text(), re.MULTILINE)
    assert hours is not None
    for_the_states = 2 * 3600
    assert int(hours[1]) * 3600 >= most + for_the_states


def test_a_restart_may_take_longer_than_a_migration() -> None:
    assert update.RESTART_TIMEOUT >= migration.MIGRATE_SECONDS + docker.BUILD_SECONDS
