"""Keeps the firewall's sets current: addresses of the names in it, and the name servers containers may query."""

import ipaddress
from collections.abc import Iterable

from ecs_appliance.core.files import read_optional
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import ProcessError, Runner
from ecs_appliance.host import nftables

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
# As docker does: if all servers are on the loopback, those behind systemd-resolved, else Google's.
RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
DOCKERS = ("8.8.8.8", "8.8.4.4")
NAME_SERVERS = {4: "nameservers_v4", 6: "nameservers_v6"}
# Servers behind one name may take turns, so that an answer does not list all of them.
KEPT = "1d"
LOOKUP_SECONDS = 10
NO_SUCH_NAME = 2


def refresh_names(paths: Paths, runner: Runner) -> None:
    """Update the addresses of each name in the firewall. A name without an answer keeps its addresses."""
    found = {name: _look_up(runner, name.partition("/")[2]) for name in nftables.set_names(runner) if "/" in name}
    commands = [*_servers(name_servers(paths)), *(line for item in sorted(found.items()) for line in _addresses(*item))]
    nftables.load(runner, "\n".join(commands) + "\n")


def name_servers(paths: Paths) -> list[IpAddress]:
    """Return the name servers that docker configures in containers, none of them on the loopback."""
    for file in RESOLVERS:
        lines = (line.split() for line in (read_optional(paths.at(file)) or "").splitlines())
        named = _parsed(words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
        if named:
            return named
    return _parsed(DOCKERS)


def _servers(servers: Iterable[IpAddress]) -> list[str]:
    commands = [f"flush set {_quoted(name)}" for name in NAME_SERVERS.values()]
    return [*commands, *(f"add element {_quoted(NAME_SERVERS[one.version])} {{ {one} }}" for one in servers)]


def _addresses(name: str, addresses: Iterable[IpAddress]) -> list[str]:
    """Return commands that add `addresses`; only deleting and re-adding an existing element renews its timeout."""
    fitting = [str(one) for one in addresses if name.startswith(f"v{one.version}/")]
    each = [(f"{{ {one} }}", f"{{ {one} timeout {KEPT} }}") for one in fitting]
    return [
        line
        for plain, lasting in each
        for line in (
            f"add element {_quoted(name)} {lasting}",
            f"delete element {_quoted(name)} {plain}",
            f"add element {_quoted(name)} {lasting}",
        )
    ]


def _quoted(name: str) -> str:
    return " ".join((*nftables.TABLE, name))


def _look_up(runner: Runner, name: str) -> list[IpAddress]:
    try:
        answer = runner.run(["getent", "ahosts", name], timeout=LOOKUP_SECONDS, ok=(0, NO_SUCH_NAME))
    except ProcessError:
        return []
    return _parsed(line.split()[0] for line in answer.lines())


def _parsed(words: Iterable[str]) -> list[IpAddress]:
    """Return the distinct addresses among `words` that can be on other machines."""
    found: dict[IpAddress, None] = {}
    for word in words:
        try:
            address = ipaddress.ip_address(word)
        except ValueError:
            continue
        found[address] = None
    return [address for address in found if not (address.is_loopback or address.is_unspecified or _scoped(address))]


def _scoped(address: IpAddress) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.is_link_local
