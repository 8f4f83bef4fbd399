"""Define the containers' networks, by whose bridges and subnets firewall, PostgreSQL and nginx identify clients."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DockerNetwork:
    """A docker network by its `name`; `bridge` is its interface on the host."""

    name: str
    bridge: str
    subnet: str


# Docker's default network, used only by image builds.
BUILDS = DockerNetwork("bridge", "docker0", "172.17.0.0/16")
# The host's address in it, through which containers reach the host.
BRIDGE = "172.17.0.1"
BIP = f"{BRIDGE}/16"
PROXY_PORT = 3142
PROXY = f"http://{BRIDGE}:{PROXY_PORT}"
# The site's networks (containers/compose.yml): the first one reaches the host and beyond, the others are internal.
SITE_SUBNET = "172.18.0.0/24"
SITE = DockerNetwork("ecs", "br-ecs", "172.18.0.0/26")
QUEUE = DockerNetwork("ecs-queue", "br-ecs-queue", "172.18.0.64/26")
CACHE = DockerNetwork("ecs-cache", "br-ecs-cache", "172.18.0.128/26")
# For one-off containers such as migrations, also while the site's networks do not exist; same access as SITE.
TASKS = DockerNetwork("ecs-tasks", "br-tasks", "172.18.1.0/26")
# Source addresses of the application.
APPLICATION_SUBNETS = (SITE_SUBNET, TASKS.subnet)
