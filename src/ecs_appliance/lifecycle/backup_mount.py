"""`appliance backup mount`: show all backups as folders while the command runs."""

import os
from collections.abc import Callable
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.runner import Runner
from ecs_appliance.host.mounts import is_mounted, source_of
from ecs_appliance.lifecycle.backup import open_repository
from ecs_appliance.lifecycle.context import Context

SECONDS = 60
# The source of restic's mounts in the mount table.
SOURCE = "restic"


def mount_backups(context: Context, folder: Path, *, ready: Callable[[], None]) -> None:
    """Mount all backups read-only at the empty folder `folder` until interrupted or unmounted.

    Calls `ready` once they are there. Unmounts what an earlier run left. Raises RefusedError if `folder` is unsuitable.
    """
    _clear(context.runner, folder)
    if not folder.is_dir() or any(os.scandir(folder)):
        raise RefusedError(f"{folder} is not an empty folder", f"mkdir {folder}, or choose another folder")
    try:
        with open_repository(context) as repository:
            repository.mount(folder.absolute(), ready)
    except KeyboardInterrupt:
        return
    finally:
        _clear(context.runner, folder)


def _clear(runner: Runner, folder: Path) -> None:
    """Unmount what restic has mounted at `folder`: without its process, reading there fails."""
    if not is_mounted(folder):
        return
    if source_of(folder) != SOURCE:
        raise RefusedError(f"something else is mounted at {folder}", "choose another folder")
    try:
        runner.run(["umount", "--lazy", folder], timeout=SECONDS)
    except ApplianceError:
        # restic may just have unmounted it itself.
        if is_mounted(folder):
            raise
