"""Refuse to run the laboratory on a production machine: nothing is installed, booted or tested next to a site.

The launcher runs it as `python3 -m lab.production` before it builds the environment for tests, so it needs only the
standard library.
"""

import sys

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.paths import Paths


def refuse_production(paths: Paths) -> None:
    """Raise RefusedError if this machine is an appliance or has the environment of one."""
    reason = _production_reason(paths)
    if reason:
        raise RefusedError(
            f"this is a production machine ({reason}): demo and test must not run on the machine of a site",
            "on another Debian machine, in a clone of the appliance: sudo ./appliance demo, or sudo ./appliance test",
        )


def _production_reason(paths: Paths) -> str:
    """Return why this is a production machine, or an empty string if it is not.

    A clone at /app/appliance does not: an installation replaces it by a symlink to a release.
    """
    if paths.appliance.is_symlink():
        return f"the appliance is installed: {paths.appliance}"
    environments = (file for file in (paths.active_env, paths.env_yml) if file.exists())
    return next((f"it has an environment: {file}" for file in environments), "")


def main() -> int:
    """If this machine is refused, write the reason to standard error; return the exit code."""
    try:
        refuse_production(Paths())
    except RefusedError as error:
        sys.stderr.write(f"{error.message}\n  → {error.hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
