"""The containers' networks. By their bridges and subnets the firewall, PostgreSQL and nginx know who comes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """A network of docker's by its `name`; `bridge` is its interface on this machine."""

    name: str
    bridge: str
    subnet: str


# Docker's own: image builds run there, and nothing else.
BUILDS = Network("bridge", "docker0", "172.17.0.0/16")
# This machine's address there, by which containers know it.
BRIDGE = "172.17.0.1"
BIP = f"{BRIDGE}/16"
PROXY_PORT = 3142
PROXY = f"http://{BRIDGE}:{PROXY_PORT}"
# Of the site (containers/compose.yml): the first leads out, to this machine and beyond; the others lead nowhere.
SITE_SUBNET = "172.18.0.0/24"
SITE = Network("ecs", "br-ecs", "172.18.0.0/26")
QUEUE = Network("ecs-queue", "br-ecs-queue", "172.18.0.64/26")
CACHE = Network("ecs-cache", "br-ecs-cache", "172.18.0.128/26")
# What runs once, such as a migration, also while those of the site are not there. It may what the site's first may.
TASKS = Network("ecs-tasks", "br-tasks", "172.18.1.0/26")
# Where the application comes from.
APPLICATION_SUBNETS = (SITE_SUBNET, TASKS.subnet)
