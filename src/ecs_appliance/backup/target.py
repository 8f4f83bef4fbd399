"""The target of backups: the repository that env.yml names."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

from ecs_appliance.backup.backends import plan_backend
from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.files import private_folder, read_optional, write_atomic
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.env.backup_password import backup_password
from ecs_appliance.env.model import Backup
from ecs_appliance.env.show import without_password
from ecs_appliance.host.duplicity import is_archive
from ecs_appliance.host.mounts import Mount, mounted
from ecs_appliance.host.rclone import obscured
from ecs_appliance.host.restic import NoRepositoryError, Repository

# Prefix in the file that stores the repository's id, before the target of an old archive recovered from.
OLD_ARCHIVE = "old archive: "
# Name of a key file in a restic repository.
KEY = re.compile(r"[0-9a-f]{64}(-tmp-[0-9]+)?")


@contextmanager
def connected(paths: Paths, runner: Runner, backup: Backup) -> Iterator[Repository]:
    """Mount the target of `backup` if needed and yield its repository. Raises RefusedError if it cannot be one."""
    place = backup.mount
    with ExitStack() as stack:
        # A separate folder per run: the settings may change meanwhile, and a run must use the same ones throughout.
        folder = stack.enter_context(private_folder(paths.run, "backup-target"))
        repository = open_target(paths, runner, backup, folder)
        if place.source:
            mount = Mount(place.type, place.source, paths.at(place.target), place.options.get_secret_value())
            stack.enter_context(mounted(runner, mount, paths.run))
        yield repository


def open_target(paths: Paths, runner: Runner, backup: Backup, folder: Path) -> Repository:
    """Return the repository of `backup` without contacting it; credentials are written to root's `folder`.

    Raises RefusedError if it cannot be one.
    """
    password = backup_password(backup)
    if not password:
        raise RefusedError("appliance.backup.password is not set", "appliance env create shows an example")
    store = plan_backend(backup, folder, lambda secret: obscured(runner, secret))
    opening = {"location": store.opening} if store.opening else {}
    for name, text in {**store.files, **opening}.items():
        write_atomic(folder / name, text)
    return Repository(
        runner=runner,
        location=store.location,
        shown=without_password(backup.url.get_secret_value()),
        password=password,
        cache=paths.volatile / "restic",
        options=store.options,
        environment=store.environment,
        file=folder / "location" if store.opening else None,
    )


def local_folder(repository: Repository) -> Path | None:
    """Return the folder of a repository in this machine's filesystem, else None."""
    return Path(repository.location) if repository.location.startswith("/") else None


def find_repository(repository: Repository) -> str | None:
    """Return the id of the repository at the target; None if there is none, or only one whose creation was interrupted.

    Raises RefusedError if the folder does not exist or contains anything else.
    """
    folder = local_folder(repository)
    if folder is not None and not folder.is_dir():
        raise RefusedError(
            f"the backup target is not available: there is no folder {folder}", "mount or create it, then try again"
        )
    try:
        return repository.identify()
    except NoRepositoryError:
        pass
    names = {entry.name for entry in folder.iterdir()} - {"lost+found"} if folder else set()
    if is_archive(names):
        raise RefusedError(
            f"{folder} contains an archive of the predecessor, which is only read, never written to",
            "set appliance.backup.url to an empty folder",
        )
    if folder and not _is_unfinished(folder):
        raise RefusedError(
            f"{folder} contains files, but no backups of this appliance", "set appliance.backup.url to an empty folder"
        )
    return None


def _is_unfinished(folder: Path) -> bool:
    """Return whether `folder` contains only what an interrupted creation of a repository leaves: folders and keys."""
    entries = [entry for entry in folder.iterdir() if entry.name != "lost+found"]
    below = (path for entry in entries if entry.is_dir() for path in entry.rglob("*"))
    return all(path.is_dir() or _is_key(path, folder) for path in chain(entries, below))


def _is_key(path: Path, folder: Path) -> bool:
    return path.parent == folder / "keys" and KEY.fullmatch(path.name) is not None


def _clear(folder: Path) -> None:
    """Remove the keys of a repository whose creation was interrupted; they would conflict with new ones."""
    for path in (folder / "keys").glob("*"):
        if _is_key(path, folder):
            path.unlink()


def claim(paths: Paths, repository: Repository) -> bool:
    """Create the repository, or check that this machine may write to it; return whether it is new.

    Raises RefusedError if it is not the one used before or belongs to another machine: the operator decides then.
    """
    found, known = find_repository(repository), read_optional(paths.backup_repository)
    known = known.strip() if known else None
    if known and known.startswith(OLD_ARCHIVE):
        if known == f"{OLD_ARCHIVE}{repository.shown}":
            raise RefusedError(
                f"the archive at {repository.shown}, from which this machine was recovered, is never written to",
                "set appliance.backup.url to an empty target",
            )
        known = None
    forget = f"if this is intended: rm {paths.backup_repository}, then try again"
    if found is None and known:
        raise RefusedError(f"the backups that were at {repository.shown} are gone", f"is it mounted? {forget}")
    if found is None:
        if folder := local_folder(repository):
            _clear(folder)
        repository.create()
        found = repository.identify()
        write_atomic(paths.backup_repository, f"{found}\n", mode=0o644)
        return True
    if known and known != found:
        raise RefusedError(
            f"the backups at {repository.shown} are not those that were there before", f"is it mounted? {forget}"
        )
    if not known:
        _claim_found(paths, repository, found)
    return False


def _claim_found(paths: Paths, repository: Repository, found: str) -> None:
    """Adopt a repository unknown to this machine if it has no snapshots. Raises RefusedError otherwise."""
    made = repository.snapshots()
    if made:
        raise RefusedError(
            f"{repository.shown} contains backups that this machine did not make, the last from "
            f"{made[-1].time:%Y-%m-%d}",
            f"recover from them, or set another target; to add to them: echo {found} > {paths.backup_repository}, "
            "then try again",
        )
    write_atomic(paths.backup_repository, f"{found}\n", mode=0o644)
