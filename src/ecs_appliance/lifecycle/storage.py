"""Where data is stored: the folders in /data and /volatile, and the symlinks to them from the usual places."""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ecs_appliance.core import folders
from ecs_appliance.core.errors import LatchedError
from ecs_appliance.core.files import point_symlink, sync_folder
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import ProcessError, Runner
from ecs_appliance.host import mounts, systemd
from ecs_appliance.host.cluster import UNIT as DATABASE_UNIT

if TYPE_CHECKING:
    from ecs_appliance.env.model import Env

log = logging.getLogger(__name__)

APP = "app"
COPY_TIMEOUT = 24 * 3600
VOLUMES = ("data", "volatile")
DOCKER = ("docker.socket", "docker.service")
# Their sandboxes do not restrict what is mounted after they have started.
FENCED = (DATABASE_UNIT, "nginx.service", "apt-cacher-ng.service")


@dataclass(frozen=True)
class Folder:
    """A folder to create; `owner` is an account of the machine."""

    path: str
    owner: str = "root"
    mode: int = 0o755


@dataclass(frozen=True)
class Relocation:
    """`link` becomes a symlink to `target`; `units` are stopped while its contents are moved."""

    link: str
    target: str
    units: tuple[str, ...] = ()


FOLDERS = (
    Folder("/data"),
    # Root runs and reads what is in it: hooks, compose, tags.
    Folder("/data/etc"),
    Folder("/data/ecs-ca", APP, 0o700),
    Folder("/data/ecs-acme", APP, 0o700),
    # Containers see a copy of the keyring, see app/vaultkeys.py.
    Folder("/data/ecs-gpg", mode=0o700),
    Folder("/data/ecs-storage-vault", APP, 0o700),
    Folder("/data/ecs-pgdump", APP, 0o700),
    # postgres writes only inside its cluster: root creates, renames and chowns what is above it.
    Folder("/data/postgresql"),
    Folder("/data/postgresql/17"),
    Folder("/data/pgbackrest", "postgres", 0o750),
    Folder("/volatile"),
    Folder("/volatile/docker", mode=0o710),
    Folder("/volatile/ecs-backup-test", mode=0o700),
    Folder("/volatile/ecs-cache", APP),
    Folder("/volatile/redis", APP, 0o700),
    Folder("/volatile/restic", mode=0o700),
    Folder("/app/etc/tags"),
    Folder("/app/etc/flags"),
    Folder("/app/etc/backup", mode=0o700),
    Folder("/app/etc/hooks"),
    *(
        Folder(f"/app/etc/hooks/{stage}.{when}")
        for stage in ("prepare-appliance", "prepare-ecs")
        for when in ("early", "late")
    ),
    Folder("/app/etc/ecs", mode=0o700),
)
RELOCATIONS = (
    Relocation("/var/lib/postgresql", "/data/postgresql", (DATABASE_UNIT, "postgresql.service")),
    Relocation("/var/lib/docker", "/volatile/docker", DOCKER),
    Relocation("/app/etc", "/data/etc"),
    Relocation("/app/ecs-ca", "/data/ecs-ca"),
    Relocation("/app/ecs-gpg", "/data/ecs-gpg"),
    Relocation("/app/ecs-storage-vault", "/data/ecs-storage-vault"),
    Relocation("/app/ecs-cache", "/volatile/ecs-cache"),
)


def prepare_storage(paths: Paths, runner: Runner, env: "Env") -> None:
    """Check that the volumes are mounted as `env` requires, then relocate and create the folders.

    Raises LatchedError, with nothing written, if a required volume is not mounted.
    """
    ignored = env.appliance.storage.ignore
    check_volume(paths, "data", ignored=ignored.data)
    check_volume(paths, "volatile", ignored=ignored.volatile)
    for relocation in RELOCATIONS:
        relocate(paths, runner, relocation)
    for folder in FOLDERS:
        lay_out(paths, folder)
    fence_volumes(paths, runner)


def fence_volumes(paths: Paths, runner: Runner) -> None:
    """Mount /data and /volatile so that set-user-ID files and devices there have no effect.

    A folder that is not a volume is bind-mounted onto itself. That would hide Docker's own mounts below it, and running
    services would see it without the restrictions of their sandboxes, so these are stopped meanwhile. This happens
    once: at boot, this runs before they start.
    """
    places = [paths.at(f"/{name}") for name in VOLUMES]
    todo = [place for place in places if place.is_dir() and not mounts.is_fenced(place)]
    fresh = [place for place in todo if not mounts.is_mounted(place)]
    # At boot docker does not run yet; stopping its socket would cancel the start that systemd has queued.
    docker = DOCKER if systemd.is_active(runner, DOCKER[-1]) else ()
    with _stopped(runner, (*docker, *FENCED) if fresh else ()):
        for place in todo:
            mounts.fence(runner, place)


def check_volume(paths: Paths, name: str, *, ignored: bool) -> None:
    """Raise LatchedError if /`name` is not a mounted volume, unless that is `ignored`."""
    place = paths.at(f"/{name}")
    if ignored or os.path.ismount(place):
        return
    raise LatchedError(
        f"no volume is mounted at /{name}, and appliance.storage.ignore.{name} is false",
        f"mount the volume labelled ecs-{name} at /{name} (in /etc/fstab), or set ignore.{name} to true, "
        "then: rm /run/appliance-failed; systemctl restart appliance",
    )


def lay_out(paths: Paths, folder: Folder) -> None:
    """Create `folder` with its owner and mode; correct those of an existing one."""
    folders.make(paths.at(folder.path), folder.owner, folder.mode)


def relocate(paths: Paths, runner: Runner, relocation: Relocation) -> None:
    """Move the contents of a folder to the target of `relocation` once, and replace it by the symlink.

    An interrupted call is completed by the next: at any time, the contents are complete at one of the two places.
    A target that already has contents (a data volume on a new machine) is used as it is; the folder is kept, renamed.
    """
    link, target = paths.at(relocation.link), paths.at(relocation.target)
    moved = link.with_name(f"{link.name}.relocated")
    if link.is_symlink() and folders.real_path(link) == folders.real_path(target) and not moved.exists():
        return
    log.info("moving %s to %s", relocation.link, relocation.target)
    with _stopped(runner, relocation.units):
        if link.is_dir() and not link.is_symlink():
            _clear_place(runner, link, target, moved)
        target.mkdir(parents=True, exist_ok=True)
        point_symlink(link, paths.at(relocation.target))
    if moved.is_dir():
        shutil.rmtree(moved)


def _clear_place(runner: Runner, link: Path, target: Path, moved: Path) -> None:
    """Copy the folder's contents to `target`, unless that has any, and rename the folder out of the symlink's way."""
    if not _has_entries(target):
        _copy_contents(runner, link, target)
    elif _has_entries(link):
        moved = link.with_name(f"{link.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
        log.warning("%s already has contents, which are used; the contents of %s are kept as %s", target, link, moved)
    if moved.exists():
        shutil.rmtree(moved)
    link.rename(moved)
    sync_folder(link.parent)


def _has_entries(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _copy_contents(runner: Runner, source: Path, target: Path) -> None:
    incoming = target.with_name(f".{target.name}.incoming")
    incoming.mkdir(parents=True, exist_ok=True)
    runner.run(["rsync", "-aHAX", "--delete", f"{source}/", f"{incoming}/"], timeout=COPY_TIMEOUT)
    os.sync()
    if target.is_dir():
        target.rmdir()
    incoming.rename(target)
    sync_folder(target.parent)


@contextmanager
def _stopped(runner: Runner, units: tuple[str, ...]) -> Iterator[None]:
    running = [unit for unit in units if systemd.is_active(runner, unit)]
    if running:
        systemd.stop(runner, *running)
    try:
        yield
    except BaseException:
        # A retry would find them stopped and leave them so. Errors of these starts must not hide the original one.
        for unit in running:
            with suppress(ProcessError):
                systemd.start(runner, unit)
        raise
    for unit in running:
        systemd.start(runner, unit)
