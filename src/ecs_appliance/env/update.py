"""env-update: brings a changed env.yml into force."""

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.env.activate import Activated, activate
from ecs_appliance.env.problem import report


def update(paths: Paths, runner: Runner) -> Activated:
    """Get the environment from the sources, test it, write it to /run/active-env.yml. Raises as `activate` does."""
    return activate(paths, runner)


def told(activated: Activated, paths: Paths) -> list[str]:
    """What was done, for the operator."""
    warnings = report(activated.warnings, activated.origin).splitlines()
    if not activated.changed:
        return [*warnings, f"unchanged: {paths.active_env} is what {activated.origin} has"]
    return [
        *warnings,
        f"active: {paths.active_env}, from {activated.origin}",
        "  → apply it: systemctl start appliance-update",
    ]
