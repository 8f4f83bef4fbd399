"""Parse a mail server's URL, and read its user's password from the environment or a file, never from the URL."""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.log import register_secret
from ecs_appliance.env import formats

PASSWORD_VARIABLE = "ECS_SMTP_PASSWORD"  # noqa: S105 # only the name
EXPECTED = "expected smtp://[user@]host[:port] or smtps://[user@]host[:port]"
LARGEST_PASSWORD = 1024


@dataclass(frozen=True)
class MailServer:
    """A mail server; `tls` from the start, else by STARTTLS if offered."""

    host: str
    port: int
    tls: bool
    user: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_here(self) -> bool:
        """Return whether it runs on this machine, judging by its host only: localhost or a loopback address."""
        with suppress(ValueError):
            return ip_address(self.host).is_loopback
        return self.host == "localhost"


def read_server(url: str) -> MailServer:
    """Return the server that `url` names.

    The default port is 465 for smtps; for smtp, 587 with a user and 25 without. Raise RefusedError, which never
    shows `url`.
    """
    try:
        parts = urlsplit(formats.url(url))
        host, port = parts.hostname or "", parts.port
        _check_host(host)
    except ValueError:
        raise RefusedError(f"not the URL of a mail server: {EXPECTED}") from None
    if parts.password is not None:
        raise RefusedError(
            "the URL of a mail server must not contain a password: every account on a machine can read command lines",
            f"set the environment variable {PASSWORD_VARIABLE} to it, or use a file",
        )
    if parts.scheme not in ("smtp", "smtps") or parts.path.strip("/") or parts.query or parts.fragment or port == 0:
        raise RefusedError(f"not the URL of a mail server: {EXPECTED}")
    user, tls = unquote(parts.username or ""), parts.scheme == "smtps"
    return MailServer(host, port or (465 if tls else 587 if user else 25), tls, user)


def _check_host(host: str) -> None:
    with suppress(ValueError):
        ip_address(host)
        return
    formats.host_name(host)


def read_password(server: MailServer, environment: Mapping[str, str], file: Path | None = None) -> str:
    """Return the password of the user of `server` and mask it in the log from now on; empty if `server` has no user.

    `file` takes precedence over the variable ECS_SMTP_PASSWORD of `environment`. Raise RefusedError if there is no
    password, if others may read `file`, or if user or password cannot be sent.
    """
    if not server.user:
        return ""
    password = _read_secret(file) if file else environment.get(PASSWORD_VARIABLE, "")
    register_secret(password)
    if not password:
        hint = f"set the environment variable {PASSWORD_VARIABLE}, or name a file that contains it"
        raise RefusedError(f"there is no password for {server.user} at {server}", hint)
    if not (password + server.user).isascii() or not (password + server.user).isprintable():
        raise RefusedError(
            f"user and password for {server} must be one line of ASCII: SMTP does not reliably support anything else"
        )
    return password


def _read_secret(file: Path) -> str:
    try:
        with file.open("rb") as handle:
            mode = os.fstat(handle.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                raise RefusedError(f"{file} contains a password, but other accounts may read it", f"chmod 600 {file}")
            return handle.read(LARGEST_PASSWORD).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise RefusedError(f"the password cannot be read from {file}: {reason}") from None
