"""`appliance backup mount`: all backups as folders, to look at and to copy from, for as long as the command runs."""

import os
from collections.abc import Callable
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.runner import Runner
from ecs_appliance.host.mounts import is_mounted, source_of
from ecs_appliance.lifecycle.backup import open_repository
from ecs_appliance.lifecycle.context import Context

SECONDS = 60
# What restic calls its mounts.
SOURCE = "restic"


def mount_backups(context: Context, folder: Path, *, ready: Callable[[], None]) -> None:
    """Show all backups in the empty folder `folder`, read-only, until interrupted or unmounted; `ready` hears when.

    What an earlier run left mounted there is taken away. Raises RefusedError where `folder` is not for it.
    """
    _clear(context.runner, folder)
    if not folder.is_dir() or any(os.scandir(folder)):
        raise RefusedError(f"{folder} is no empty folder", f"mkdir {folder}, or name another one")
    try:
        with open_repository(context) as repository:
            repository.mount(folder.absolute(), ready)
    except KeyboardInterrupt:
        return
    finally:
        _clear(context.runner, folder)


def _clear(runner: Runner, folder: Path) -> None:
    """Unmount what restic has mounted there: reading from a mount without its process fails."""
    if not is_mounted(folder):
        return
    if source_of(folder) != SOURCE:
        raise RefusedError(f"something else is mounted at {folder}", "name another folder")
    try:
        runner.run(["umount", "--lazy", folder], timeout=SECONDS)
    except ApplianceError:
        # restic may just have done so itself.
        if is_mounted(folder):
            raise
