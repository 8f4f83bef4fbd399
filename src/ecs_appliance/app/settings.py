"""What the application's containers are told through their environment (docs/manual.md, Environment mapping)."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import read_optional, write_changed
from ecs_appliance.core.log import register_secret
from ecs_appliance.host.postgres import ROLE

BRIDGE = "172.17.0.1"
SERVICE_URLS = {
    "REDIS_URL": "redis://ecs_redis_1:6379/0",
    "MEMCACHED_URL": "memcached://ecs_memcached_1:11211",
    "SMTP_URL": f"smtp://{BRIDGE}:25",
}
# Without these the application runs its tasks inline and caches in its own memory: a container that runs once needs
# neither of the services.
SERVICES_OF_A_SITE = ("REDIS_URL", "MEMCACHED_URL")
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
    password = read_password(file) or secrets.token_hex(24)
    register_secret(password)
    url = f"postgres://{ROLE}:{password}@{BRIDGE}:5432/{database}"
    write_changed(file, f"DATABASE_URL={url}\n", mode=0o600)
    return url


def read_password(file: Path) -> str | None:
    """The password in the database_url.env that `file` is, or None where there is no such file."""
    text = read_optional(file)
    if text is None:
        return None
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == "DATABASE_URL" and (password := urlsplit(value).password):
            register_secret(password)
            return password
    raise ApplianceError(f"{file} holds no DATABASE_URL with a password", f"remove {file}: a new one is made")


def service_urls_env() -> str:
    """The text of service_urls.env: addresses only, nothing secret, nothing to quote."""
    return "".join(f"{name}={value}\n" for name, value in SERVICE_URLS.items())


def site_environment(site: Site) -> dict[str, str]:
    """Every variable of a container of the running site. Raises ApplianceError for settings that are too long."""
    if len(f"ECS_SETTINGS={site.settings}".encode()) > LONGEST_VALUE:
        raise ApplianceError("ecs.settings is longer than the 128 KiB a process can be given", "shorten ecs.settings")
    return {
        **SERVICE_URLS,
        "DATABASE_URL": site.database_url,
        "ECS_SETTINGS": site.settings,
        # Unset or empty, the application would let everybody become a test user.
        "ECS_USERSWITCHER_ENABLED": "true" if site.userswitcher else "false",
        "ECS_USERSWITCHER_PARAMETER": site.userswitcher_parameter,
    }


def once_environment(site: Site) -> dict[str, str]:
    """The variables of a container that runs once, beside or without the running site. Raises as `site_environment`."""
    return {name: value for name, value in site_environment(site).items() if name not in SERVICES_OF_A_SITE}
