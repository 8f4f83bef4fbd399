"""Configure the application's containers through environment variables (docs/manual.md, Environment mapping)."""

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
# What celery needs for the queue (newer versions use scripts for their locks), but no commands beyond the data, such as
# CONFIG, DEBUG, MODULE, REPLICAOF or SAVE. `health`, for the health check, may only ping.
ACL_FILE = "redis.acl"
REDIS_ACL = """\
user default on #{digest} ~* &* +@read +@write +@pubsub +@transaction +@connection +@scripting -@dangerous -@admin +info
user health on nopass resetkeys resetchannels -@all +ping
"""
# The kernel's limit for one string of a process's environment.
LONGEST_VALUE = 128 * 1024 - 1


@dataclass(frozen=True)
class AppSettings:
    """The part of env.yml that the application receives. `settings` and `database_url` contain secrets."""

    database_url: str
    settings: str
    userswitcher: bool = False
    userswitcher_parameter: str = ""

    def __repr__(self) -> str:
        return "AppSettings(…)"


def ensure_database_url(folder: Path, database: str) -> str:
    """Write `folder`/database_url.env (0600) with the application's DATABASE_URL, and return that URL.

    The password is generated once and then kept. Raise ApplianceError if an existing file is damaged.
    """
    file = folder / "database_url.env"
    password = _known_password(file, "DATABASE_URL")
    url = f"postgres://{ROLE}:{password}@{BRIDGE}:5432/{database}"
    write_changed(file, f"DATABASE_URL={url}\n", mode=0o600)
    return url


def plan_service_files(folder: Path) -> dict[str, str]:
    """Return the files, by name, with which a site's containers reach each other: one variable per file.

    The queue's password is the one in `folder`, or a new one; redis gets only a digest of it. Raise ApplianceError if
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
    """Write the files of `plan_service_files` to `folder`; return the names of those that were changed."""
    files = plan_service_files(folder)
    # redis does not run as root in its container, so its file is world-readable, in a folder that only root can enter.
    modes = {name: 0o644 if name == ACL_FILE else 0o600 for name in files}
    written = [name for name, text in files.items() if write_changed(folder / name, text, mode=modes[name])]
    # From earlier releases, which gave all variables to every container.
    (folder / "service_urls.env").unlink(missing_ok=True)
    return written


def read_password(file: Path, name: str = "DATABASE_URL") -> str | None:
    """Return the password in the URL of the variable `name` in `file`, or None if `file` does not exist.

    Raise ApplianceError if the file contains no such password.
    """
    text = read_optional(file)
    if text is None:
        return None
    for line in text.splitlines():
        variable, _, value = line.partition("=")
        if variable == name and (password := urlsplit(value).password):
            register_secret(password)
            return password
    raise ApplianceError(
        f"{file} contains no {name} with a password", f"remove {file}; a new one is created automatically"
    )


def _known_password(file: Path, name: str) -> str:
    password = read_password(file, name) or secrets.token_hex(24)
    register_secret(password)
    return password


def once_environment(site: AppSettings) -> dict[str, str]:
    """Return the environment variables of a one-off container of the application.

    Without REDIS_URL and MEMCACHED_URL, the application runs its tasks inline and caches in its own memory. Raise
    ApplianceError if the settings are too long.
    """
    if len(f"ECS_SETTINGS={site.settings}".encode()) > LONGEST_VALUE:
        raise ApplianceError(
            "ecs.settings is longer than 128 KiB, the limit for an environment variable", "shorten ecs.settings"
        )
    return {
        "SMTP_URL": SMTP_URL,
        "DATABASE_URL": site.database_url,
        "ECS_SETTINGS": site.settings,
        # If unset or empty, the application would let everybody become a test user.
        "ECS_USERSWITCHER_ENABLED": "true" if site.userswitcher else "false",
        "ECS_USERSWITCHER_PARAMETER": site.userswitcher_parameter,
    }
