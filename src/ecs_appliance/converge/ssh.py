"""Who gets in by ssh, and where: nobody who could until now is to be locked out by what hardens the machine."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ecs_appliance.core.paths import Paths
from ecs_appliance.env.formats import ssh_key, ssh_parts

if TYPE_CHECKING:
    from ecs_appliance.env.model import Env

# Whoever is in it may become root by Debian's sudoers.
ADMINISTRATORS = "sudo"
FILES = (".ssh/authorized_keys", ".ssh/authorized_keys2")
NO_SHELLS = ("nologin", "false", "sync")
# Options that make of a key something else than a login that lasts.
LIMITS = re.compile(r"\b(cert-authority|command=|expiry-time=)", re.IGNORECASE)
# sshd knows it no longer.
GONE = "ssh-dss"
CONFIGURATION = ("sshd_config", "sshd_config.d/*.conf")
PORT = re.compile(
    r"^\s*(?:Port[\s=]+|ListenAddress[\s=]+(?:\[\S*\]|[^\s:]+):)(\d{1,5})(?!\S)", re.IGNORECASE | re.MULTILINE
)
USUAL_PORT = 22


@dataclass(frozen=True)
class Ssh:
    """What is decided of ssh: whether it takes keys only, and which ports the firewall opens for it."""

    keys_only: bool = False
    ports: tuple[int, ...] = (USUAL_PORT,)


@dataclass(frozen=True)
class Account:
    """A line of /etc/passwd, as far as it matters here."""

    name: str
    group: int
    home: str
    shell: str


def plan_ssh(paths: Paths, env: "Env | None") -> Ssh:
    """What to do about ssh on this machine once `env` (None: none yet) is in force."""
    return Ssh(keys_let_in(paths, env), ssh_ports(paths))


def ssh_ports(paths: Paths) -> tuple[int, ...]:
    """The usual port, and those that somebody has sshd listen on."""
    files = (file for pattern in CONFIGURATION for file in paths.at("/etc/ssh").glob(pattern))
    named = {int(port) for file in files for port in PORT.findall(file.read_text(errors="replace"))}
    return tuple(sorted({USUAL_PORT, *named}))


def keys_let_in(paths: Paths, env: "Env | None") -> bool:
    """Whether somebody can become root on this machine by an ssh key, once `env` (None: none yet) is in force."""
    added, removed = (env.ssh_authorized_keys, env.ssh_deprecated_keys) if env else ((), ())
    lines = [*added, *_authorized_lines(paths)]
    return bool({login_key(line) for line in lines} - {ssh_parts(line)[2] for line in removed} - {None})


def login_key(line: str) -> str | None:
    """The key itself of a line of authorized_keys; None where nobody gets a shell by it.

    That is so for comments and damaged lines, and for keys that run one command only: clouds leave such a line to root
    that tells whoever comes to use another account.
    """
    if line.lstrip().startswith("#"):
        return None
    try:
        options, kind, key = ssh_parts(ssh_key(line.strip()))
    except ValueError:
        return None
    return None if kind == GONE or LIMITS.search(options) else key


def _authorized_lines(paths: Paths) -> Iterator[str]:
    for account in _administrators(paths):
        for name in FILES:
            with suppress(OSError):
                yield from paths.at(f"{account.home}/{name}").read_text(errors="replace").splitlines()


def _administrators(paths: Paths) -> list[Account]:
    """Root, and those who may become root; the account `app` may not, whatever keys it has."""
    groups = {words[0]: words for words in _database(paths.at("/etc/group"), 4)}
    group = groups.get(ADMINISTRATORS)
    number, members = (int(group[2]), group[3].split(",")) if group else (None, [])
    found = [Account(words[0], int(words[3]), words[5], words[6]) for words in _database(paths.at("/etc/passwd"), 7)]
    return [
        account
        for account in found
        if account.shell.rpartition("/")[2] not in NO_SHELLS
        and (account.name == "root" or account.name in members or account.group == number)
    ]


def _database(file: Path, fields: int) -> Iterable[list[str]]:
    lines = (line.split(":") for line in file.read_text(errors="replace").splitlines())
    return (words for words in lines if len(words) == fields)
