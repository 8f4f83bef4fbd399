"""Translates a target's URL into restic's location, options, environment and credential files."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, quote, unquote, urlsplit

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.env.model import Backup

HINT = "correct appliance.backup.url"
SSH_PORT = 22
# The scheme for NAME://; NAME:http:// and NAME:https:// specify it. webdav and webdavs are the predecessor's.
WEB = {"s3": "https", "rest": "https", "webdav": "http", "webdavs": "https"}
KNOWN = "file, sftp, s3, rest, webdav, webdavs or rclone"
REMOTE = re.compile(r"rclone:(?P<remote>[A-Za-z0-9_][A-Za-z0-9_. -]*):(?P<path>.*)")
# rclone's own timeouts and retries are short, because restic retries.
RCLONE = {"RCLONE_CONTIMEOUT": "30s", "RCLONE_TIMEOUT": "1m", "RCLONE_LOW_LEVEL_RETRIES": "2", "RCLONE_RETRIES": "1"}

# Obscures a password as rclone's configuration expects it.
Obscure = Callable[[str], str]


@dataclass(frozen=True)
class Backend:
    """Where a repository is: `location` as restic names it, without secrets.

    `opening` is the location with its secrets, if it has any. `files` (name to text) must be in the folder that the
    backend was planned for before restic runs with `options` and `environment`.
    """

    location: str
    opening: str = field(default="", repr=False)
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class _Web:
    """A web address: `base` is scheme, host and port; `path` is what follows, as written in the URL."""

    base: str
    path: str
    user: str
    secret: str = field(repr=False)

    @property
    def folders(self) -> list[str]:
        return [part for part in self.path.split("/") if part]


def plan_backend(backup: Backup, folder: Path, obscure: Obscure) -> Backend:
    """Return the backend that `backup` names, with its files in `folder`. Raises RefusedError if it cannot be one."""
    url = backup.url.get_secret_value()
    match backup.scheme:
        case "file":
            return _plan_file(urlsplit(url))
        case "sftp" | "scp":
            return _plan_sftp(backup, urlsplit(url), folder)
        case "s3":
            return _with_authority(_plan_s3(backup, folder), backup, folder)
        case "rest":
            return _with_authority(_plan_rest(backup), backup, folder)
        case "webdav" | "webdavs":
            return _with_authority(_plan_webdav(backup, folder, obscure), backup, folder)
        case "rclone":
            return _with_authority(_plan_rclone(backup, folder), backup, folder)
        case scheme:
            raise RefusedError(
                f"{scheme}: URLs are not supported for backups",
                f"{HINT}: {KNOWN}, or a folder of appliance.backup.mount",
            )


def plan_remote(backup: Backup, folder: Path, obscure: Obscure) -> Backend | None:
    """Return the target of `backup` as rclone accesses it; None if rclone cannot."""
    match backup.scheme:
        case "sftp" | "scp":
            return _remote_sftp(backup, urlsplit(backup.url.get_secret_value()), folder)
        case "s3":
            return _with_authority(_remote_s3(backup, folder), backup, folder)
        case _:
            store = plan_backend(backup, folder, obscure)
            return store if store.location.startswith("rclone:") else None


def _remote_sftp(backup: Backup, parts: SplitResult, folder: Path) -> Backend:
    known = _plan_sftp(backup, parts, folder)
    text = f"[target]\ntype = sftp\nhost = {parts.hostname}\nport = {parts.port or SSH_PORT}\n"
    text += f"user = {unquote(parts.username or 'root')}\nknown_hosts_file = {folder}/known_hosts\n"
    # The server may allow SFTP only.
    text += "shell_type = none\ndisable_hashcheck = true\n"
    if "key" in known.files:
        text += f"key_file = {folder}/key\n"
    store = _by_rclone(f"rclone:target:{unquote(parts.path).removeprefix('/')}", text, folder)
    return replace(store, files={**known.files, **store.files})


def _remote_s3(backup: Backup, folder: Path) -> Backend:
    web = _read_s3(backup)
    text = f"[target]\ntype = s3\nprovider = Other\nendpoint = {web.base}\nforce_path_style = true\n"
    text += f"access_key_id = {web.user}\nsecret_access_key = {web.secret}\n"
    if backup.region:
        text += f"region = {backup.region}\n"
    return _by_rclone(f"rclone:target:{unquote('/'.join(web.folders))}", text, folder)


def _plan_file(parts: SplitResult) -> Backend:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise RefusedError("a file: URL needs an absolute path and no host", f"{HINT}: file:///folder/")
    return Backend(unquote(parts.path))


def _plan_sftp(backup: Backup, parts: SplitResult, folder: Path) -> Backend:
    if parts.password:
        raise RefusedError("an sftp: URL must not contain a password", f"{HINT}, and set appliance.backup.ssh_key")
    if not parts.hostname or parts.path in ("", "/"):
        raise RefusedError("an sftp: URL needs a host and a folder", f"{HINT}: sftp://user@host/folder/")
    location = f"sftp://{parts.netloc}/{unquote(parts.path).removeprefix('/')}"
    return _introduced(Backend(location), backup, parts, folder)


def _introduced(store: Backend, backup: Backup, parts: SplitResult, folder: Path) -> Backend:
    """Return `store` with ssh options that accept only the server keys in `backup`."""
    if not backup.host_keys:
        raise RefusedError(
            "the sftp server's host keys are not configured",
            "set appliance.backup.host_keys to its keys: ssh-keyscan HOST prints them",
        )
    host = f"[{parts.hostname}]:{parts.port}" if parts.port not in (None, SSH_PORT) else parts.hostname
    files = {"known_hosts": "".join(f"{host} {key}\n" for key in backup.host_keys)}
    words = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={folder}/known_hosts"]
    words += ["GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no", "ConnectTimeout=30"]
    words += ["ServerAliveInterval=15", "ServerAliveCountMax=4"]
    key = backup.ssh_key.get_secret_value()
    if key:
        files["key"] = f"{key.strip()}\n"
        words += [f"IdentityFile={folder}/key", "IdentitiesOnly=yes"]
    return replace(store, options=("-o", "sftp.args=" + " ".join(f"-o{word}" for word in words)), files=files)


def _read_s3(backup: Backup) -> _Web:
    """Return the web address of an s3: URL. Raises RefusedError if bucket or keys are missing."""
    web = _read_web(backup)
    if not web.folders:
        raise RefusedError(
            "an s3: URL needs a host, a bucket and optionally a folder", f"{HINT}: s3://host/bucket/folder"
        )
    if not (web.user and web.secret):
        raise RefusedError(
            "an s3: target needs an access key",
            "set appliance.backup.user to its id, appliance.backup.secret to its secret",
        )
    return web


def _plan_s3(backup: Backup, folder: Path) -> Backend:
    web = _read_s3(backup)
    text = f"[default]\naws_access_key_id = {web.user}\naws_secret_access_key = {web.secret}\n"
    region = ("-o", f"s3.region={backup.region}") if backup.region else ()
    return Backend(
        location=f"s3:{web.base}/{'/'.join(web.folders)}",
        # restic retries, so the library's default of ten attempts would multiply.
        options=("-o", "s3.retries=1", *region),
        environment={"AWS_SHARED_CREDENTIALS_FILE": f"{folder}/s3"},
        files={"s3": text},
    )


def _plan_rest(backup: Backup) -> Backend:
    web = _read_web(backup)
    location = f"rest:{web.base}/{web.path.lstrip('/')}"
    if not web.user:
        return Backend(location)
    known = f"{quote(web.user, safe='')}:{quote(web.secret, safe='')}@"
    return Backend(location, opening=location.replace("://", f"://{known}", 1))


def _plan_webdav(backup: Backup, folder: Path, obscure: Obscure) -> Backend:
    web = _read_web(backup)
    if not web.folders:
        raise RefusedError("a webdav: URL needs a host and a folder", f"{HINT}: webdavs://host/folder/")
    *above, last = web.folders
    url = "/".join([web.base, *above])
    text = f"[target]\ntype = webdav\nvendor = other\nurl = {url}\n"
    if web.user:
        text += f"user = {web.user}\npass = {obscure(web.secret)}\n"
    return _by_rclone(f"rclone:target:{unquote(last)}", text, folder)


def _plan_rclone(backup: Backup, folder: Path) -> Backend:
    found = REMOTE.fullmatch(backup.url.get_secret_value())
    if not found:
        raise RefusedError("an rclone: URL needs a remote and a folder", f"{HINT}: rclone:REMOTE:folder")
    text, remote = backup.rclone.get_secret_value(), found["remote"]
    if f"[{remote}]" not in text.splitlines():
        raise RefusedError(
            f"appliance.backup.rclone has no section [{remote}]",
            "set it to the output of rclone config show for that remote",
        )
    return _by_rclone(f"rclone:{remote}:{found['path']}", text, folder)


def _by_rclone(location: str, text: str, folder: Path) -> Backend:
    environment = {**RCLONE, "RCLONE_CONFIG": f"{folder}/rclone.conf"}
    return Backend(location, environment=environment, files={"rclone.conf": text})


def _with_authority(store: Backend, backup: Backup, folder: Path) -> Backend:
    """Return `store`, with the authority in `backup`, if any, as the only one trusted for the server's certificate."""
    if not backup.authority:
        return store
    file = folder / "authority.pem"
    files = {**store.files, file.name: backup.authority}
    if store.location.startswith("rclone:"):
        return replace(store, files=files, environment={**store.environment, "RCLONE_CA_CERT": str(file)})
    return replace(store, files=files, options=(*store.options, "--cacert", str(file)))


def _read_web(backup: Backup) -> _Web:
    """Return the web address in the URL; `user` and `secret` of `backup` override those in it."""
    name, _, rest = backup.url.get_secret_value().partition(":")
    name = name.lower()
    url = rest if rest.lower().startswith(("http://", "https://")) else f"{WEB[name]}:{rest}"
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or ".." in PurePosixPath(parts.path).parts:
        raise RefusedError(f"{name}: URLs need a host and a path, and nothing after it", f"{HINT}: {name}://host/path")
    user = backup.user or unquote(parts.username or "")
    secret = backup.secret.get_secret_value() or unquote(parts.password or "")
    return _Web(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path, user, secret)
