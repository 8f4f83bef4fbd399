"""No laboratory on a production machine: nothing is installed, booted or tested beside a site.

The launcher runs it as `python3 -m lab.production` before it makes the environment for tests, so it needs the standard
library alone.
"""

import sys

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.paths import Paths


def refuse_production(paths: Paths) -> None:
    """Raise RefusedError where this machine is an appliance or has the environment of one; change nothing."""
    reason = _production_reason(paths)
    if reason:
        raise RefusedError(
            f"this is a production machine ({reason}): demo and test run on any other, never beside a site",
            "on another Debian machine, in a clone of the appliance: sudo ./appliance demo, or sudo ./appliance test",
        )


def _production_reason(paths: Paths) -> str:
    """Return what shows that this is a production machine, or nothing.

    A clone at /app/appliance does not: it becomes a link to a release when the appliance is installed from it.
    """
    if paths.appliance.is_symlink():
        return f"the appliance is installed: {paths.appliance}"
    environments = (file for file in (paths.active_env, paths.env_yml) if file.exists())
    return next((f"it has an environment: {file}" for file in environments), "")


def main() -> int:
    """Say on standard error why this machine is refused, and return the exit code."""
    try:
        refuse_production(Paths())
    except RefusedError as error:
        sys.stderr.write(f"{error.message}\n  → {error.hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
