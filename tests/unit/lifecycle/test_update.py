"""When an update restarts the site, and when it leaves it alone."""

from typing import Any

import pytest

from ecs_appliance.lifecycle.update import plan_restart

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
