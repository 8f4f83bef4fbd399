"""Parses the destinations in `appliance.network.egress`: where containers and image builds may connect to."""

import ipaddress
import re
from dataclasses import dataclass

from ecs_appliance.env.diagnostics import quoted
from ecs_appliance.env.formats import host_name

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
# Every public address; private networks must be listed explicitly.
INTERNET = "internet"
# `host`, `host:port`, `[address]:port`; an IPv6 address without a port needs no brackets.
BRACKETED = re.compile(r"\[(?P<host>[0-9A-Fa-f:./]*:[0-9A-Fa-f:./]*)\](?::(?P<port>[0-9]{1,5}))?")
PLAIN = re.compile(r"(?P<host>[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
# Excludes zones (`%eth0`), for which Python accepts any text.
NUMERIC = re.compile(r"[0-9./]+|[0-9A-Fa-f:./]*:[0-9A-Fa-f:./]*")
LAST_PORT = 65535
# Where clouds provide machines with their configuration, in our case env.yml, or with the cloud's credentials. Most use
# 169.254.169.254; the others are Azure's wire server, Alibaba, Oracle, and the IPv6 addresses of AWS, GCE, Oracle,
# OpenStack and Scaleway.
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
    """A network or a host name (neither: the internet), and a port (None: all ports)."""

    network: IpNetwork | None = None
    name: str = ""
    port: int | None = None


def parse_destination(text: str) -> Destination:
    """Parse `internet`, a name, an address or a network, each optionally with `:port`. Raise ValueError."""
    host, port = _split(text)
    if host == INTERNET:
        return Destination(port=port)
    if NUMERIC.fullmatch(host):
        return Destination(network=_network(host), port=port)
    return Destination(name=host_name(host).lower(), port=port)


def destination(text: str) -> str:
    """Return `text` if it is a valid destination, else raise ValueError."""
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
            raise ValueError(f"{quoted(host)} is a cloud metadata service, which only root may access")
    return network
