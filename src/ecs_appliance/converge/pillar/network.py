"""Pillar of the firewall and the container networks: who may connect to what."""

from typing import TYPE_CHECKING, Any

from ecs_appliance.converge.egress import plan_egress
from ecs_appliance.converge.ssh import Ssh
from ecs_appliance.host import networks

if TYPE_CHECKING:
    from ecs_appliance.env.model import Env

# In the isolated networks: the port of the server in each.
SERVICE_PORTS = {networks.QUEUE.bridge: 6379, networks.CACHE.bridge: 11211}
SMTP, HTTP, HTTPS, SMTPS = 25, 80, 443, 465
POSTGRESQL = 5432


def firewall(env: "Env | None", ssh: Ssh) -> dict[str, Any]:
    """Return the firewall's values: `ports` open to all, and the ports of this machine that containers may use.

    `egress` is where containers may connect to. dockerd's sockets are recognized by the group that it runs with.
    """
    cached = bool(env and env.appliance.storage.proxy_cache)
    return {
        "ports": [*ssh.ports, SMTP, HTTP, HTTPS, SMTPS],
        "bridges": [each.bridge for each in (networks.BUILDS, networks.SITE, networks.TASKS)],
        "subnets": [networks.BUILDS.subnet, *networks.APPLICATION_SUBNETS],
        "service_ports": SERVICE_PORTS,
        "application_ports": [SMTP, HTTP, HTTPS, POSTGRESQL],
        "build_ports": [networks.PROXY_PORT] if cached else [],
        "egress": plan_egress(env),
        "docker_group": "docker",
        "cache_account": "apt-cacher-ng" if cached else "",
    }


def site_subnets() -> dict[str, str]:
    """Return the subnet of each network of the site's containers, by bridge."""
    return {network.bridge: network.subnet for network in (networks.SITE, networks.QUEUE, networks.CACHE)}
