"""Pillar of nginx, the ACME client and certificates."""

import ipaddress
import shlex
from datetime import date
from typing import TYPE_CHECKING, Any

from ecs_appliance.converge import package_lists
from ecs_appliance.core.paths import Paths
from ecs_appliance.host import networks
from ecs_appliance.tls.deployment import certificate_path

if TYPE_CHECKING:
    from ecs_appliance.env.model import Env

IPV6 = 6
JUNE = 6


def nginx(env: "Env | None", paths: Paths) -> dict[str, Any]:
    """Return the sites that nginx serves, its security.txt, and what its pages show to visitors."""
    names = list(env.appliance.server_names) if env else ["localhost"]
    return {
        "packages": list(package_lists.NGINX),
        "sites": list(
            {site["server_name"]: site for site in (_site(name, paths) for name in reversed(names))}.values()
        )[::-1],
        "client_certs_mandatory": bool(env and env.appliance.ssl.client_certs_mandatory),
        "container_subnets": list(networks.APPLICATION_SUBNETS),
        "acme_challenges": str(paths.acme_challenges),
        "security": plan_security(env, date.today()) if env and env.appliance.security_contact else {},
        "visitors": {
            "site": env.appliance.domain if env else "",
            "contact": env.appliance.contact if env else "",
        },
    }


def plan_security(env: "Env", today: date) -> dict[str, str]:
    """Return the fields of security.txt. It expires six to twelve months after `today`, so it changes twice a year."""
    first_half = today.month <= JUNE
    expires = date(today.year, 12, 31) if first_half else date(today.year + 1, JUNE, 30)
    return {
        "contact": f"mailto:{env.appliance.security_contact}",
        "expires": f"{expires.isoformat()}T00:00:00Z",
        "canonical": f"https://{env.appliance.domain}/.well-known/security.txt",
    }


def certificates(env: "Env | None") -> dict[str, Any]:
    """Return the certificate pair given in env.yml, and whether ACME is enabled."""
    ssl = env.appliance.ssl if env else None
    return {
        "key": ssl.key.get_secret_value() if ssl else "",
        "cert": ssl.cert if ssl else "",
        "acme": bool(ssl and ssl.letsencrypt.enabled),
    }


def acme(env: "Env") -> dict[str, Any]:
    """Return the ACME client's configuration, quoted for the shell that reads it."""
    settings = env.appliance.ssl.letsencrypt
    return {
        "packages": list(package_lists.ACME),
        "directory": shlex.quote(settings.directory),
        "authority": settings.authority,
        "key_algorithm": {"ecdsa": "prime256v1", "rsa": "rsa"}[settings.key_type],
        "email": shlex.quote(settings.email),
    }


def _site(name: str, paths: Paths) -> dict[str, str]:
    """`server_name` is `name` as in a Host header: an IPv6 address is in brackets and compressed."""
    certificate = str(certificate_path(paths, name))
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return {"name": name, "server_name": name, "certificate": certificate}
    shown = f"[{address}]" if address.version == IPV6 else str(address)
    return {"name": name, "server_name": shown, "certificate": certificate}
