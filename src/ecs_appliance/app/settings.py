"""What the application's containers are told through their environment (docs/manual.md, Environment mapping)."""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import read_optional, write_changed
from ecs_appliance.core.log import register_secret
from ecs_appliance.host.cluster import ROLE
from ecs_appliance.host.networks import BRIDGE

SMTP_URL = f"smtp://{BRIDGE}:25"
MEMCACHED_URL = "memcached://ecs_memcached_1:11211"
# What celery does with the queue: nothing that reaches past its data, as CONFIG, DEBUG, MODULE, REPLICAOF or SAVE do.
# Newer versions of celery bring scripts for their locks. `health` is the health check's: it may ask, and see nothing.
ACL_FILE = "redis.acl"
REDIS_ACL = """\
user default on #{digest} ~* &* +@read +@write +@pubsub +@transaction +@connection +@scripting -@dangerous -@admin +info
user health on nopass resetkeys resetchannels -@all +ping
"""
# The kernel's limit of one string of a process's environment.
LONGEST_VALUE = 128 * 1024 - 1


@dataclass(frozen=True)
class Site:
    """What of the environment reaches the application. `settings` and `database_url` hold secrets."""

    database_url: str
    settings: str
    userswitcher: bool = False
    userswitcher_parameter: str = ""

    def __repr__(self) -> str:
        return "Site(…)"


def ensure_database_url(folder: Path, database: str) -> str:
    """The application's DATABASE_URL, kept in `folder`/database_url.env (0600) with a password that is made only once.

    Raises ApplianceError where that file is damaged.
    """
    file = folder / "database_url.env"
    password = _known_password(file, "DATABASE_URL")
    url = f"postgres://{ROLE}:{password}@{BRIDGE}:5432/{database}"
    write_changed(file, f"DATABASE_URL={url}\n", mode=0o600)
    return url


def plan_service_files(folder: Path) -> dict[str, str]:
    """The files, by name, that let the containers of a site to each other: one variable a file, for those who need it.

    The queue's password is that of `folder`, or a new one; its server gets a digest of it. Raises ApplianceError where
    the file with the password is damaged.
    """
    password = _known_password(folder / "redis_url.env", "REDIS_URL")
    return {
        "redis_url.env": f"REDIS_URL=redis://:{password}@ecs_redis_1:6379/0\n",
        "memcached_url.env": f"MEMCACHED_URL={MEMCACHED_URL}\n",
        "smtp_url.env": f"SMTP_URL={SMTP_URL}\n",
        ACL_FILE: REDIS_ACL.format(digest=hashlib.sha256(password.encode()).hexdigest()),
    }


def ensure_service_files(folder: Path) -> list[str]:
    """Have the files of `plan_service_files` in `folder`; returns the names of those that were written."""
    files = plan_service_files(folder)
    # redis is not root in its container: what it reads is for all to read, in a folder that is root's alone.
    modes = {name: 0o644 if name == ACL_FILE else 0o600 for name in files}
    written = [name for name, text in files.items() if write_changed(folder / name, text, mode=modes[name])]
    # Of earlier releases, which gave every container everything.
    (folder / "service_urls.env").unlink(missing_ok=True)
    return written


def read_password(file: Path, name: str = "DATABASE_URL") -> str | None:
    """The password in the URL that `file` gives to the variable `name`, or None where there is no such file."""
    text = read_optional(file)
    if text is None:
        return None
    for line in text.splitlines():
        variable, _, value = line.partition("=")
        if variable == name and (password := urlsplit(value).password):
            register_secret(password)
            return password
    raise ApplianceError(f"{file} holds no {name} with a password", f"remove {file}: a new one is made")


def _known_password(file: Path, name: str) -> str:
    password = read_password(file, name) or secrets.token_hex(24)
    register_secret(password)
    return password


def once_environment(site: Site) -> dict[str, str]:
    """Every variable of a container that runs once, beside or without the running site.

    Without REDIS_URL and MEMCACHED_URL the application runs its tasks inline and caches in its own memory. Raises
    ApplianceError for settings that are too long.
    """
    if len(f"ECS_SETTINGS={site.settings}".encode()) > LONGEST_VALUE:
        raise ApplianceError("ecs.settings is longer than the 128 KiB a process can be given", "shorten ecs.settings")
    return {
        "SMTP_URL": SMTP_URL,
        "DATABASE_URL": site.database_url,
        "ECS_SETTINGS": site.settings,
        # Unset or empty, the application would let everybody become a test user.
        "ECS_USERSWITCHER_ENABLED": "true" if site.userswitcher else "false",
        "ECS_USERSWITCHER_PARAMETER": site.userswitcher_parameter,
    }
