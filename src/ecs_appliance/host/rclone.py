"""rclone: gives restic and duplicity access to storage services that they do not support themselves."""

import json
from collections.abc import Mapping

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.runner import CommandError, Runner

SECONDS = 60
NO_FOLDER = 3
LIST_SECONDS = 600


def obscured(runner: Runner, password: str) -> str:
    """Return `password` in the form of rclone's configuration. Raise RefusedError if rclone is not installed."""
    try:
        said = runner.run(["rclone", "obscure", "-"], input=password, timeout=SECONDS, secrets=(password,))
    except CommandError as error:
        if error.returncode is not None:
            raise
        hint = "appliance converge installs it; or: apt-get install rclone"
        raise RefusedError("this target needs rclone", hint) from None
    return said.stdout.strip()


def list_files(runner: Runner, place: str, environment: Mapping[str, str]) -> dict[str, int]:
    """Return the sizes in bytes of the files in the folder `place` (REMOTE:PATH), by name; empty if it does not exist.

    Raise CommandError if the server does not answer or refuses.
    """
    words = ["rclone", "lsjson", "--files-only", place]
    said = runner.run(words, timeout=LIST_SECONDS, env=environment, ok=(0, NO_FOLDER))
    return {str(file["Name"]): int(file["Size"]) for file in json.loads(said.stdout or "[]")}
