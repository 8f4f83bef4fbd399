"""rclone: the way of restic to servers that it does not know itself."""

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.runner import CommandError, Runner

SECONDS = 60


def obscured(runner: Runner, password: str) -> str:
    """`password` as it stands in rclone's configuration. Raises RefusedError where rclone is not installed."""
    try:
        said = runner.run(["rclone", "obscure", "-"], input=password, timeout=SECONDS, secrets=(password,))
    except CommandError as error:
        if error.returncode is not None:
            raise
        hint = "appliance converge installs it; or: apt-get install rclone"
        raise RefusedError("this target needs rclone", hint) from None
    return said.stdout.strip()
