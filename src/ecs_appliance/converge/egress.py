"""Plans where containers and image builds may connect to, as nft rules."""

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ecs_appliance.env.egress import METADATA, Destination, IpNetwork, parse_destination

if TYPE_CHECKING:
    from ecs_appliance.env.model import Env

# For the site's own names: behind a NAT router, they do not resolve to this machine's addresses.
SITE_PORTS = (80, 443)
IPV4, IPV6 = 4, 6
# IPv4 that is not public: private and shared networks, documentation, multicast.
NOT_PUBLIC_V4 = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
)
# Public IPv6 is 2000::/3, without embedded IPv4 (Teredo, 6to4) and documentation.
PUBLIC_V6, NOT_PUBLIC_V6 = "2000::/3", ("2001::/32", "2001:db8::/32", "2002::/16", "3fff::/20")


def plan_egress(env: "Env | None") -> dict[str, Any]:
    """Return what the firewall's template needs; without an environment only builds may connect to the outside."""
    lists = _lists(env)
    names = {destination.name for several in lists.values() for destination in several if destination.name}
    return {
        "metadata": {version: _networks(METADATA, version) for version in (IPV4, IPV6)},
        "names": sorted(names),
        "rules": {task: [rule for one in several for rule in plan_rules(one)] for task, several in lists.items()},
    }


def plan_rules(destination: Destination) -> list[str]:
    """Return the rules that accept packets to `destination`, which `parse_destination` has validated."""
    port = f" meta l4proto {{ tcp, udp }} th dport {destination.port}" if destination.port else ""
    if destination.name:
        return [f"{_field(version)} @{name_set(destination.name, version)}{port} accept" for version in (IPV4, IPV6)]
    if destination.network:
        return [f"{_field(destination.network.version)} {destination.network}{port} accept"]
    return [
        f"ip daddr != {{ {', '.join(NOT_PUBLIC_V4)} }}{port} accept",
        f"ip6 daddr {PUBLIC_V6} ip6 daddr != {{ {', '.join(NOT_PUBLIC_V6)} }}{port} accept",
    ]


def name_set(name: str, version: int) -> str:
    """Return the name of the set with the addresses of `name` in IP `version`."""
    return f"v{version}/{name}"


def _lists(env: "Env | None") -> dict[str, list[Destination]]:
    from ecs_appliance.env.model import Egress  # noqa: PLC0415 # pydantic is not needed to read the constants above

    egress = env.appliance.network.egress if env else Egress()
    site = _site(env.appliance.server_names) if env else []
    return {
        "containers": [*site, *map(parse_destination, egress.containers)],
        "builds": [parse_destination(text) for text in egress.builds],
    }


def _site(names: Iterable[str]) -> list[Destination]:
    """Return destinations for the site's names; addresses are the machine's own, and wildcards cannot be resolved."""
    named = [name for name in names if not (name.startswith("*") or name == "localhost" or _is_address(name))]
    return [Destination(name=name, port=port) for name in named for port in SITE_PORTS]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _field(version: int) -> str:
    return "ip daddr" if version == IPV4 else "ip6 daddr"


def _networks(networks: Iterable[IpNetwork], version: int) -> list[str]:
    return [str(network) for network in networks if network.version == version]
