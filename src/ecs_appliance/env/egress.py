"""Where containers and image builds may connect to: the words of `appliance.network.egress`."""

import ipaddress
import re
from dataclasses import dataclass

from ecs_appliance.env.formats import host_name
from ecs_appliance.env.problem import quoted

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
# Every public address; private networks have to be named.
INTERNET = "internet"
# `host`, `host:port`, `[address]:port`; an IPv6 address without a port needs no brackets.
BRACKETED = re.compile(r"\[(?P<host>[0-9A-Fa-f:./]*:[0-9A-Fa-f:./]*)\](?::(?P<port>[0-9]{1,5}))?")
PLAIN = re.compile(r"(?P<host>[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
# No zone (`%eth0`): Python would take any text for one.
NUMERIC = re.compile(r"[0-9./]+|[0-9A-Fa-f:./]*:[0-9A-Fa-f:./]*")
LAST_PORT = 65535
# Where clouds hand machines their configuration, which for us is env.yml, or keys of the cloud's own. Most of them use
# 169.254.169.254; the others are Azure's wire server, Alibaba, Oracle, and what AWS, GCE, Oracle, OpenStack and
# Scaleway have for IPv6.
METADATA: tuple[IpNetwork, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
        "fe80::a9fe:a9fe",
        "fd00:42::42",
    )
)


@dataclass(frozen=True)
class Destination:
    """A network or the name of a host (neither: the internet), and a port (None: all of them)."""

    network: IpNetwork | None = None
    name: str = ""
    port: int | None = None


def parse_destination(text: str) -> Destination:
    """`internet`, a name, an address or a network, each with `:port` where only that is meant. Raises ValueError."""
    host, port = _split(text)
    if host == INTERNET:
        return Destination(port=port)
    if NUMERIC.fullmatch(host):
        return Destination(network=_network(host), port=port)
    return Destination(name=host_name(host).lower(), port=port)


def destination(text: str) -> str:
    """`text`, where it is one. Raises ValueError."""
    parse_destination(text)
    return text


def _split(text: str) -> tuple[str, int | None]:
    found = BRACKETED.fullmatch(text) or PLAIN.fullmatch(text)
    host, port = (found["host"], found["port"]) if found else (text, None)
    if port is not None and not 0 < int(port) <= LAST_PORT:
        raise ValueError(f"expected a port from 1 to {LAST_PORT}, found {quoted(port)}")
    return host, int(port) if port else None


def _network(host: str) -> IpNetwork:
    try:
        network = ipaddress.ip_network(host)
    except ValueError as error:
        raise ValueError(f"expected an address, or a network such as 10.20.0.0/16: {error}") from None
    for service in METADATA:
        if service.version == network.version and network.subnet_of(service):  # type: ignore[arg-type] # one kind
            raise ValueError(f"{quoted(host)} is where clouds keep what only root may read")
    return network
