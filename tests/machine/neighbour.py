"""A stranger in the machine's network: a network namespace on the same bridge, with real tools."""

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from ecs_appliance.core.runner import Result, SystemRunner, end
from lab.nspawn import NspawnMachine

# From the range for private networks, which nothing else here uses.
MACHINE_V6 = IPv6Address("fd00:ec5::2")
STRANGER_V6 = IPv6Address("fd00:ec5::77")
CONTAINERS = "172.16.0.0/12"
SECONDS = 20


@dataclass(frozen=True)
class Scan:
    """What nmap found at an address: the open ports, and the states of the others."""

    open: set[int]
    states: set[str]


@dataclass(frozen=True)
class Neighbour:
    """The namespace `name`; it routes the container networks to `machine`, the address of the machine next to it."""

    name: str
    machine: IPv4Address
    addresses: tuple[IPv4Address, ...]

    def run(self, argv: Sequence[str], *, timeout: float = 120, data: str | None = None) -> Result:
        """Run `argv` in the namespace, whatever its exit code."""
        return SystemRunner().run(self._inside(argv), input=data, timeout=timeout, ok=range(-64, 256))

    @contextmanager
    def running(self, argv: Sequence[str]) -> Iterator[None]:
        """Run `argv` in the namespace in the background."""
        process = SystemRunner().spawn(self._inside(argv))
        try:
            yield
        finally:
            end(process, grace=5)

    @contextmanager
    def serving(self, port: int) -> Iterator[None]:
        """Run a web server in the namespace on all addresses; it stands for the internet."""
        with self.running(["python3", "-m", "http.server", str(port), "--bind", "::"]):
            deadline = time.monotonic() + SECONDS
            while not self.run(["ss", "-Hltn", f"sport = :{port}"]).stdout and time.monotonic() < deadline:
                time.sleep(0.1)
            yield

    def scan(self, address: object, *options: str, timeout: float = 300) -> Scan:
        """Scan `address`, IPv4 or IPv6, using nmap with `options`."""
        kind = ["-6"] if ":" in str(address) else []
        words = ["nmap", "-Pn", "-n", "-T4", "-oG", "-", *kind, *options, str(address)]
        result = self.run(words, timeout=timeout)
        assert result.returncode == 0, result.stderr
        seen = re.findall(r"(\d+)/([a-z|]+)/(?:tcp|udp)/", result.stdout)
        ignored = re.findall(r"Ignored State: ([a-z|]+)", result.stdout)
        opened = {int(port) for port, state in seen if state == "open"}
        return Scan(opened, {*ignored, *(state for _, state in seen if state != "open")})

    def _inside(self, argv: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self.name, *argv]


@contextmanager
def moved_in(machine: NspawnMachine) -> Iterator[Neighbour]:
    """Yield a neighbour of `machine`, which has an IPv6 address meanwhile."""
    network, number = machine.spec.network, os.getpid()
    neighbour = Neighbour(f"ecs-n-{number}", network.address, tuple(network.subnet[n] for n in (77, 78, 79)))
    _ip("netns", "add", neighbour.name)
    try:
        _ip("link", "add", f"en-{number}", "type", "veth", "peer", "name", "eth0", "netns", neighbour.name)
        # A bridge takes the lowest address of its ports: it must not change when this one comes or goes.
        _ip("link", "set", f"en-{number}", "address", "fe:ff:ff:ff:ff:fe")
        _ip("link", "set", f"en-{number}", "master", network.bridge, "up")
        inside = ("-n", neighbour.name)
        # The machine caches it for a minute: the next neighbour must have the same one.
        _ip(*inside, "link", "set", "eth0", "address", "02:00:00:00:00:77")
        for device in ("lo", "eth0"):
            _ip(*inside, "link", "set", device, "up")
        for address in neighbour.addresses:
            _ip(*inside, "address", "add", f"{address}/24", "dev", "eth0")
        _ip(*inside, "address", "add", f"{STRANGER_V6}/64", "dev", "eth0", "nodad")
        _ip(*inside, "route", "add", CONTAINERS, "via", str(network.address))
        give_v6(machine)
        yield neighbour
    finally:
        # The kernel removes it only a moment after the namespace, which would disturb the next one.
        SystemRunner().run(["ip", "link", "delete", f"en-{number}"], timeout=SECONDS, ok=(0, 1))
        _ip("netns", "delete", neighbour.name)
        machine.guest.sh(f"ip address delete {MACHINE_V6}/64 dev host0 || true")


def give_v6(machine: NspawnMachine) -> None:
    """Give `machine` its IPv6 address (again, after a reboot)."""
    machine.guest.sh(f"ip address replace {MACHINE_V6}/64 dev host0 nodad")


def _ip(*words: str) -> None:
    SystemRunner().run(["ip", *words], timeout=SECONDS)
