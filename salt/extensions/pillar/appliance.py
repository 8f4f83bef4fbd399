"""External pillar: the active environment and what is computed from it. All logic is in ecs_appliance.converge."""

from typing import Any

from ecs_appliance.converge.pillar import current_pillar


def ext_pillar(minion_id: str, pillar: dict[str, Any]) -> dict[str, Any]:
    """The pillar of this machine, from /run/active-env.yml where it exists, else for an unconfigured appliance."""
    del minion_id, pillar
    return current_pillar()
