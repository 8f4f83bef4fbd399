"""The pillar: the environment as it is, and under `machine` everything the states need, computed here."""

import ipaddress
import shlex
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ecs_appliance.converge import packages
from ecs_appliance.converge.egress import plan_egress
from ecs_appliance.converge.ssh import Ssh, plan_ssh
from ecs_appliance.converge.tuning import limit_containers, tune_postgresql
from ecs_appliance.core.facts import Facts, read_facts
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.activate import load_active
from ecs_appliance.env.plain import plain
from ecs_appliance.host import networks
from ecs_appliance.tls.deployment import certificate_path

if TYPE_CHECKING:
    from ecs_appliance.env.model import Env

TIMEZONE = "Europe/Vienna"
# Of the database (docs/manual.md: createdb), and of logs that everybody reads.
LOCALES = ("de_DE.UTF-8", "en_US.UTF-8")
APPARMOR_PROFILE = "ecs-application"
# Of the networks that lead nowhere: the port at which the server in each is asked.
SERVICE_PORTS = {networks.QUEUE.bridge: 6379, networks.CACHE.bridge: 11211}
# Where the application comes from.
APPLICATION_SUBNETS = (networks.SITE_SUBNET, networks.TASKS.subnet)
SMTP, HTTP, HTTPS, SMTPS = 25, 80, 443, 465
POSTGRESQL, PROXY_CACHE = 5432, 3142
IPV6 = 6
JUNE = 6


def current_pillar(paths: Paths | None = None) -> dict[str, Any]:
    """The pillar of this machine as it is now; raises InvalidEnvError where the active environment is broken."""
    paths = paths or Paths()
    active = paths.active_env
    env = _load(paths, active.stat().st_mtime_ns) if active.exists() else None
    return build_pillar(env, read_facts(paths), commands=_commands(paths), ssh=plan_ssh(paths, env))


@lru_cache(maxsize=1)
def _load(paths: Paths, changed: int) -> "Env":
    """The active environment as of `changed`: Salt asks for the pillar twice a run."""
    del changed
    return load_active(paths)


def build_pillar(
    env: "Env | None", facts: Facts, *, commands: tuple[str, ...] = (), ssh: Ssh | None = None
) -> dict[str, Any]:
    """The pillar for `env` (None: not configured yet) on a machine with `facts`."""
    ssh = ssh or Ssh()
    tree: dict[str, Any] = plain(env) if env else {"appliance": {}, "ecs": {}}
    return {
        **tree,
        "ssh_authorized_keys": tree.get("ssh_authorized_keys", []),
        "ssh_deprecated_keys": tree.get("ssh_deprecated_keys", []),
        "machine": {
            "configured": env is not None,
            "hostname": env.appliance.domain if env and env.appliance.domain != "localhost" else "",
            "timezone": TIMEZONE,
            "locales": list(LOCALES),
            "packages": list(packages.COMMON),
            "commands": list(commands),
            "ssh": {"keys_only": ssh.keys_only, "by_group": ssh.by_group, "people": list(ssh.people)},
            "firewall": _firewall(env, ssh),
            "apparmor": APPARMOR_PROFILE if facts.apparmor else "",
            "docker": {"packages": list(packages.DOCKER)},
            "proxy_cache": bool(env and env.appliance.storage.proxy_cache),
            "postgresql": {
                "packages": list(packages.POSTGRESQL),
                "settings": tune_postgresql(facts),
                "database": env.ecs.database if env else "ecs",
                "subnets": list(APPLICATION_SUBNETS),
            },
            "nginx": _nginx(env),
            "acme": acme_settings(env) if env else {},
            "compose": _compose(env, facts),
            "update": {
                "automatic": bool(env and env.appliance.update.automatic),
                "oncalendar": env.appliance.update.oncalendar if env else "*-*-* 06:30:00",
            },
            "backup": {
                "packages": _backup_packages(env),
                "interval": env.appliance.backup.interval if env else "15min",
                "oncalendar": env.appliance.backup.oncalendar if env else "*-*-* 22:30:00",
                "rehearsal": env.appliance.backup.rehearsal if env else "Sat *-*-* 10:00:00",
            },
            "extra": _extra(env),
        },
    }


def _backup_packages(env: "Env | None") -> list[str]:
    return [*packages.BACKUP, *(packages.RCLONE if env and env.appliance.backup.by_rclone else ())]


def _commands(paths: Paths) -> tuple[str, ...]:
    folder = paths.appliance / "commands"
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".sh", ".py")))


def _firewall(env: "Env | None", ssh: Ssh) -> dict[str, Any]:
    """Open to the world `ports`; to containers what they need of this machine: its database, mail, and own site.

    `egress` says where containers get out to. Sockets of dockerd are known by the group that it runs with.
    """
    cached = bool(env and env.appliance.storage.proxy_cache)
    return {
        "ports": [*ssh.ports, SMTP, HTTP, HTTPS, SMTPS],
        "bridges": [each.bridge for each in (networks.BUILDS, networks.SITE, networks.TASKS)],
        "subnets": [networks.BUILDS.subnet, *APPLICATION_SUBNETS],
        "service_ports": SERVICE_PORTS,
        "application_ports": [SMTP, HTTP, HTTPS, POSTGRESQL],
        "build_ports": [PROXY_CACHE] if cached else [],
        "egress": plan_egress(env),
        "docker_group": "docker",
        "cache_account": "apt-cacher-ng" if cached else "",
    }


def _nginx(env: "Env | None") -> dict[str, Any]:
    names = list(env.appliance.server_names) if env else ["localhost"]
    return {
        "packages": list(packages.NGINX),
        "sites": list({site["server_name"]: site for site in map(_site, reversed(names))}.values())[::-1],
        "client_certs_mandatory": bool(env and env.appliance.ssl.client_certs_mandatory),
        "container_subnets": list(APPLICATION_SUBNETS),
        "acme_challenges": str(Paths().acme_challenges),
        "security": plan_security(env, date.today()) if env and env.appliance.security_contact else {},
        "visitors": {
            "site": env.appliance.domain if env else "",
            "contact": env.appliance.contact if env else "",
        },
    }


def plan_security(env: "Env", today: date) -> dict[str, str]:
    """What security.txt says. It runs out six to twelve months from `today`, so that it changes twice a year."""
    first_half = today.month <= JUNE
    expires = date(today.year, 12, 31) if first_half else date(today.year + 1, JUNE, 30)
    return {
        "contact": f"mailto:{env.appliance.security_contact}",
        "expires": f"{expires.isoformat()}T00:00:00Z",
        "canonical": f"https://{env.appliance.domain}/.well-known/security.txt",
    }


def acme_settings(env: "Env") -> dict[str, Any]:
    """What the ACME client is configured with; values go into a file that a shell reads."""
    acme = env.appliance.ssl.letsencrypt
    return {
        "packages": list(packages.ACME),
        "directory": shlex.quote(acme.directory),
        "authority": acme.authority,
        "key_algorithm": {"ecdsa": "prime256v1", "rsa": "rsa"}[acme.key_type],
        "email": shlex.quote(acme.email),
    }


def _site(name: str) -> dict[str, str]:
    """`server_name` is `name` as it comes in a Host header: an IPv6 address in brackets, as short as can be."""
    certificate = str(certificate_path(Paths(), name))
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return {"name": name, "server_name": name, "certificate": certificate}
    shown = f"[{address}]" if address.version == IPV6 else str(address)
    return {"name": name, "server_name": shown, "certificate": certificate}


def _compose(env: "Env | None", facts: Facts) -> dict[str, Any]:
    """Compose would take what follows a `$` for a variable of its own."""
    if env is None:
        return {}
    return {
        "subnets": _site_subnets(),
        "memory": limit_containers(facts),
        "apparmor": APPARMOR_PROFILE if facts.apparmor else "",
        "domain": env.appliance.domain,
        "userswitcher_enabled": env.ecs.userswitcher.enabled,
        "userswitcher_parameter": env.ecs.userswitcher.parameter.replace("$", "$$"),
        "ecs_settings": env.ecs.settings.get_secret_value().replace("$", "$$"),
    }


def _site_subnets() -> dict[str, str]:
    """The subnet of each network of the site's containers, by its bridge."""
    return {network.bridge: network.subnet for network in (networks.SITE, networks.QUEUE, networks.CACHE)}


def _extra(env: "Env | None") -> dict[str, Any]:
    if env is None:
        return {"packages": [], "files": [], "states": ""}
    extra = env.appliance.extra
    files = []
    for file in extra.files:
        user, _, group = file.owner.partition(":")
        files.append(
            {
                "path": file.path,
                "contents": plain(file.contents),
                "user": user,
                "group": group or user,
                "permissions": file.permissions,
            }
        )
    return {"packages": list(extra.packages), "files": files, "states": plain(extra.states)}
