"""The network of a machine: a bridge of its own on this host, one free /24, and masquerading.

A bridge, rather than just a veth pair, keeps its address while the machine reboots.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.runner import Runner

POOL = IPv4Network("10.214.0.0/16")
SECONDS = 20.0
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# systemd-resolved's stub listens only on the host's loopback; the second file names the servers behind it.
RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


@dataclass(frozen=True)
class MachineNetwork:
    """A machine's network; the host has the first address, the machine the second."""

    name: str
    subnet: IPv4Network

    @property
    def bridge(self) -> str:
        return f"eb-{self.name}"

    @property
    def table(self) -> str:
        return f"ecs-machine-{self.name}"

    @property
    def gateway(self) -> IPv4Address:
        return self.subnet[1]

    @property
    def address(self) -> IPv4Address:
        return self.subnet[2]

    def guest_config(self) -> str:
        """Return the .network file for the machine's side; the file's name must sort before 80-container-host0."""
        return (
            "[Match]\nName=host0\n\n"
            f"[Network]\nAddress={self.address}/{self.subnet.prefixlen}\nGateway={self.gateway}\n"
            "LinkLocalAddressing=no\nIPv6AcceptRA=no\nLLMNR=no\nMulticastDNS=no\n"
        )


def choose_subnet(taken: Iterable[IPv4Network]) -> IPv4Network:
    """Return the first /24 in POOL that overlaps nothing in `taken`. Raise RefusedError if there is none."""
    used = list(taken)
    for subnet in POOL.subnets(new_prefix=24):
        if not any(subnet.overlaps(other) for other in used):
            return subnet
    raise RefusedError(
        f"no free network in {POOL}", "remove a machine that is no longer needed: appliance demo destroy --name NAME"
    )


def used_networks(runner: Runner) -> list[IPv4Network]:
    """Return every IPv4 network that this host has a route to, except by default routes."""
    routes = json.loads(runner.run(["ip", "-json", "-4", "route", "show", "table", "all"], timeout=SECONDS).stdout)
    targets = (str(route.get("dst", "default")) for route in routes)
    return [IPv4Network(target, strict=False) for target in targets if target != "default"]


def create_network(network: MachineNetwork, runner: Runner) -> None:
    """Create the bridge, its address and the masquerading; replace what already exists."""
    remove_network(network, runner)
    _ip(runner, "link", "add", network.bridge, "type", "bridge")
    _ip(runner, "address", "add", f"{network.gateway}/{network.subnet.prefixlen}", "dev", network.bridge)
    _ip(runner, "link", "set", network.bridge, "up")
    runner.run(["nft", "-f", "-"], input=_ruleset(network), timeout=SECONDS)
    if FORWARDING.read_text().strip() != "1":
        FORWARDING.write_text("1\n")
    for rule in _forward_rules(network):
        if _forward_drops(runner):
            runner.run(["iptables", "-w", "-I", *rule], timeout=SECONDS)


def remove_network(network: MachineNetwork, runner: Runner) -> None:
    """Remove everything that `create_network` created and that still exists."""
    runner.run(["nft", "delete", "table", "ip", network.table], timeout=SECONDS, ok=(0, 1))
    for rule in _forward_rules(network):
        while _iptables(runner, "-C", *rule) == 0:
            runner.run(["iptables", "-w", "-D", *rule], timeout=SECONDS)
    if Path(f"/sys/class/net/{network.bridge}").exists():
        _ip(runner, "link", "delete", network.bridge)


def read_resolvers(files: Iterable[Path] = RESOLVERS) -> str:
    """Return a resolv.conf that works in a machine. Raise RefusedError if all resolvers are on the loopback."""
    for file in files:
        if not file.is_file():
            continue
        kept = [line for line in file.read_text().splitlines() if not _loopback_server(line)]
        if any(line.startswith("nameserver") for line in kept):
            return "\n".join(kept) + "\n"
    raise RefusedError(
        "this host's name servers listen only on its loopback address, so a machine cannot reach them",
        "name a reachable one in /etc/resolv.conf",
    )


def _loopback_server(line: str) -> bool:
    words = line.split()
    if len(words) < 2 or words[0] != "nameserver":  # noqa: PLR2004 # keyword and address
        return False
    return ip_address(words[1].partition("%")[0]).is_loopback


def _ruleset(network: MachineNetwork) -> str:
    return (
        f"table ip {network.table} {{\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        f'    ip saddr {network.subnet} oifname != "{network.bridge}" masquerade\n'
        "  }\n}\n"
    )


def _forward_rules(network: MachineNetwork) -> tuple[tuple[str, ...], ...]:
    return (
        ("FORWARD", "-i", network.bridge, "-j", "ACCEPT"),
        ("FORWARD", "-o", network.bridge, "-j", "ACCEPT"),
    )


def _forward_drops(runner: Runner) -> bool:
    """Return whether forwarding needs rules of its own: docker and firewalls drop forwarded packets by default."""
    if not _has_iptables():
        return False
    return "-P FORWARD DROP" in runner.run(["iptables", "-w", "-S", "FORWARD"], timeout=SECONDS, ok=range(256)).stdout


def _iptables(runner: Runner, *words: str) -> int:
    if not _has_iptables():
        return 1
    return runner.run(["iptables", "-w", *words], timeout=SECONDS, ok=range(256)).returncode


def _has_iptables() -> bool:
    return any(Path(folder, "iptables").exists() for folder in ("/usr/sbin", "/sbin"))


def _ip(runner: Runner, *words: str) -> None:
    runner.run(["ip", *words], timeout=SECONDS)
