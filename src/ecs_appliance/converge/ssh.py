"""Decides how ssh is hardened without locking out anyone who has access now."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ecs_appliance.core.files import read_optional
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.formats import ssh_key, ssh_parts

if TYPE_CHECKING:
    from ecs_appliance.env.model import Env

# Debian's sudoers lets its members become root.
ADMINISTRATORS = "sudo"
FILES = (".ssh/authorized_keys", ".ssh/authorized_keys2")
APPLICATION = "app"
# Debian's range of user ids for people.
PEOPLE = range(1000, 60000)
# Sources in /etc/nsswitch.conf that are local to this machine.
LOCAL = {"files", "systemd", "compat"}
NO_SHELLS = ("nologin", "false", "sync")
# Options with which a key does not allow permanent login.
LIMITS = re.compile(r"\b(cert-authority|command=|expiry-time=)", re.IGNORECASE)
# No longer supported by sshd.
GONE = "ssh-dss"
CONFIGURATION = ("sshd_config", "sshd_config.d/*.conf")
PORT = re.compile(
    r"^\s*(?:Port[\s=]+|ListenAddress[\s=]+(?:\[\S*\]|[^\s:]+):)(\d{1,5})(?!\S)", re.IGNORECASE | re.MULTILINE
)
USUAL_PORT = 22


@dataclass(frozen=True)
class Ssh:
    """Decisions about ssh: whether only keys are accepted, which ports the firewall opens, and who logs in.

    `people` are login accounts other than root and app; `by_group` is whether all accounts are in this machine's own
    files.
    """

    keys_only: bool = False
    ports: tuple[int, ...] = (USUAL_PORT,)
    people: tuple[str, ...] = ()
    by_group: bool = True


@dataclass(frozen=True)
class Account:
    """The fields of a line of /etc/passwd that matter here."""

    name: str
    number: int
    group: int
    home: str
    shell: str


def plan_ssh(paths: Paths, env: "Env | None") -> Ssh:
    """Decide about ssh on this machine for `env` (None: not configured yet)."""
    people = tuple(account.name for account in _people(paths))
    return Ssh(has_admin_key(paths, env), ssh_ports(paths), people, _knows_everybody(paths))


def ssh_ports(paths: Paths) -> tuple[int, ...]:
    """Return port 22 and any other that sshd is configured to listen on."""
    files = (file for pattern in CONFIGURATION for file in paths.at("/etc/ssh").glob(pattern))
    named = {int(port) for file in files for port in PORT.findall(file.read_text(errors="replace"))}
    return tuple(sorted({USUAL_PORT, *named}))


def has_admin_key(paths: Paths, env: "Env | None") -> bool:
    """Return whether anyone can become root with an ssh key once `env` (None: not configured yet) is active."""
    added, removed = (env.ssh_authorized_keys, env.ssh_deprecated_keys) if env else ((), ())
    lines = [*added, *_authorized_lines(paths)]
    return bool({login_key(line) for line in lines} - {ssh_parts(line)[2] for line in removed} - {None})


def login_key(line: str) -> str | None:
    """Return the key in a line of authorized_keys, None if it does not give a shell.

    Comments, damaged lines and keys limited to a command do not: clouds give root such a line, which only says to log
    in with another account.
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
    """Return root and the accounts that may become root."""
    groups = {words[0]: words for words in _database(paths.at("/etc/group"), 4)}
    group = groups.get(ADMINISTRATORS)
    number, members = (int(group[2]), group[3].split(",")) if group else (None, [])
    return [account for account in _accounts(paths) if _is_administrator(account, number, members)]


def _is_administrator(account: Account, number: int | None, members: Sequence[str]) -> bool:
    return account.name == "root" or account.name in members or account.group == number


def _people(paths: Paths) -> list[Account]:
    """Return the login accounts except root and the application's."""
    return [account for account in _accounts(paths) if account.number in PEOPLE and account.name != APPLICATION]


def _accounts(paths: Paths) -> list[Account]:
    """Return the accounts with a login shell."""
    found = [
        Account(words[0], int(words[2]), int(words[3]), words[5], words[6])
        for words in _database(paths.at("/etc/passwd"), 7)
    ]
    return [account for account in found if account.shell.rpartition("/")[2] not in NO_SHELLS]


def _knows_everybody(paths: Paths) -> bool:
    """Return whether no directory (LDAP, Active Directory) provides accounts in addition to /etc/passwd."""
    text = read_optional(paths.at("/etc/nsswitch.conf")) or ""
    words = [line.split() for line in text.splitlines() if line.startswith("passwd:")]
    return {word for line in words for word in line[1:] if word[0] != "["} <= LOCAL


def who_gets_in_by_password(paths: Paths, effective: str) -> list[str]:
    """Return the accounts that can log in with a password; `effective` is the output of `sshd -T`."""
    values = dict(line.partition(" ")[::2] for line in effective.splitlines())
    if "yes" not in (values.get("passwordauthentication"), values.get("kbdinteractiveauthentication")):
        return []
    with_password = {words[0] for words in _database(paths.at("/etc/shadow"), 9) if words[1][:1] not in ("", "!", "*")}
    possible = {account.name for account in (*_administrators(paths), *_people(paths))} & with_password
    return sorted(possible - ({"root"} if values.get("permitrootlogin") != "yes" else set()))


def _database(file: Path, fields: int) -> Iterable[list[str]]:
    lines = (line.split(":") for line in file.read_text(errors="replace").splitlines())
    return (words for words in lines if len(words) == fields)
