"""rclone: the way of restic and of duplicity to servers that they do not know themselves."""

import json
from collections.abc import Mapping

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.runner import CommandError, Runner

SECONDS = 60
NO_FOLDER = 3
LIST_SECONDS = 600


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


def list_files(runner: Runner, place: str, environment: Mapping[str, str]) -> dict[str, int]:
    """The files in the folder `place` (REMOTE:PATH), name to bytes; none where there is no such folder.

    Raises CommandError where the server does not answer or refuses.
    """
    words = ["rclone", "lsjson", "--files-only", place]
    said = runner.run(words, timeout=LIST_SECONDS, env=environment, ok=(0, NO_FOLDER))
    return {str(file["Name"]): int(file["Size"]) for file in json.loads(said.stdout or "[]")}
