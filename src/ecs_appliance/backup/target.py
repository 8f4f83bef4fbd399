"""Where backups go: the repository that env.yml names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.env.backup_password import backup_password
from ecs_appliance.env.model import Backup
from ecs_appliance.env.show import without_password
from ecs_appliance.host.mounts import Mount, mounted
from ecs_appliance.host.restic import NoRepositoryError, Repository

HINT = "correct appliance.backup.url"
SFTP = ("sftp", "scp")
SSH_PORT = 22


@contextmanager
def reached(paths: Paths, runner: Runner, backup: Backup) -> Iterator[Repository]:
    """The repository of `backup`, its mount in place within the block. Raises RefusedError where it cannot be one."""
    repository, place = open_target(paths, runner, backup), backup.mount
    if not place.source:
        yield repository
        return
    mount = Mount(place.type, place.source, paths.at(place.target), place.options.get_secret_value())
    with mounted(runner, mount, paths.run):
        yield repository


def open_target(paths: Paths, runner: Runner, backup: Backup) -> Repository:
    """The repository of `backup`, not yet asked for. Raises RefusedError where it cannot be one."""
    url = backup.url.get_secret_value()
    password = backup_password(backup)
    if not password:
        raise RefusedError("there is no appliance.backup.password", "appliance env create shows how one looks like")
    return Repository(
        runner=runner,
        location=plan_location(url),
        shown=without_password(url),
        password=password,
        cache=paths.volatile / "restic",
        options=_introduce(paths, backup) if urlsplit(url).scheme in SFTP else (),
    )


def plan_location(url: str) -> str:
    """`url` as restic names it. Raises RefusedError for what this version cannot write to."""
    parts = urlsplit(url)
    if parts.scheme in SFTP:
        return _plan_sftp(parts)
    if parts.scheme != "file":
        raise RefusedError(f"backups to {parts.scheme or 'no'}: URLs are not built yet", f"{HINT}: file: or sftp:")
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise RefusedError("a file: URL has an absolute path and no host", f"{HINT}: file:///folder/")
    return unquote(parts.path)


def _plan_sftp(parts: SplitResult) -> str:
    if parts.password:
        raise RefusedError("a password in an sftp: URL is not used", f"{HINT}, and give appliance.backup.ssh_key")
    if not parts.hostname or parts.path in ("", "/"):
        raise RefusedError("an sftp: URL has a host and a folder", f"{HINT}: sftp://user@host/folder/")
    return f"sftp://{parts.netloc}/{unquote(parts.path).removeprefix('/')}"


def _introduce(paths: Paths, backup: Backup) -> tuple[str, ...]:
    """Options by which ssh knows the server, and nobody else, from files that are root's."""
    if not backup.host_keys:
        raise RefusedError(
            "the sftp server is not known", "put its keys into appliance.backup.host_keys: ssh-keyscan HOST prints them"
        )
    parts = urlsplit(backup.url.get_secret_value())
    host = f"[{parts.hostname}]:{parts.port}" if parts.port not in (None, SSH_PORT) else parts.hostname
    folder = paths.run / "backup-ssh"
    write_atomic(folder / "known_hosts", "".join(f"{host} {key}\n" for key in backup.host_keys))
    words = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={folder}/known_hosts"]
    words += ["GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no", "ConnectTimeout=30", "ServerAliveInterval=30"]
    key = backup.ssh_key.get_secret_value()
    if key:
        write_atomic(folder / "key", f"{key.strip()}\n")
        words += [f"IdentityFile={folder}/key", "IdentitiesOnly=yes"]
    return ("-o", "sftp.args=" + " ".join(f"-o{word}" for word in words))


def local_folder(repository: Repository) -> Path | None:
    """The folder of a repository on this machine's own filesystems; None where it is elsewhere."""
    return Path(repository.location) if repository.location.startswith("/") else None


def find_repository(repository: Repository) -> str | None:
    """The id of what lies at the target, None where nothing does.

    Raises RefusedError where the folder is not there, or holds what is no backup of ours.
    """
    folder = local_folder(repository)
    if folder is not None and not folder.is_dir():
        raise RefusedError(
            f"the target of backups is not reached: there is no folder {folder}", "mount or make it, then try again"
        )
    try:
        return repository.identify()
    except NoRepositoryError:
        pass
    if folder is not None and any(entry.name != "lost+found" for entry in folder.iterdir()):
        raise RefusedError(
            f"{folder} holds files, but no backup of ours", "name an empty folder in appliance.backup.url"
        )
    return None


def adopt(paths: Paths, repository: Repository) -> bool:
    """Have a repository that this machine may write to; returns whether it is new.

    Raises RefusedError where it is another one than before, or another machine's: that is for a person to judge.
    """
    found, known = find_repository(repository), read_optional(paths.backup_repository)
    known = known.strip() if known else None
    forget = f"if it is meant: rm {paths.backup_repository}, then try again"
    if found is None and known:
        raise RefusedError(f"the backups that were at {repository.shown} are gone", f"is it mounted? {forget}")
    if found is None:
        repository.create()
        found = repository.identify()
        write_atomic(paths.backup_repository, f"{found}\n", mode=0o644)
        return True
    if known and known != found:
        raise RefusedError(f"other backups than before are at {repository.shown}", f"is it mounted? {forget}")
    if not known:
        _adopt_found(paths, repository, found)
    return False


def _adopt_found(paths: Paths, repository: Repository, found: str) -> None:
    """One that this machine does not remember is its own where nothing was ever saved to it."""
    made = repository.snapshots()
    if made:
        raise RefusedError(
            f"{repository.shown} holds backups that this machine has not made, the last of {made[-1].time:%Y-%m-%d}",
            "recover from them, or name another target; to add to them: "
            f"echo {found} > {paths.backup_repository}, then try again",
        )
    write_atomic(paths.backup_repository, f"{found}\n", mode=0o644)
