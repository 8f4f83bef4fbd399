"""Outbound traffic under the rules in a real kernel: containers, machine and world are network namespaces."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import jinja2
import pytest

from ecs_appliance.converge.egress import plan_egress
from ecs_appliance.converge.names import refresh_names
from ecs_appliance.converge.pillar import build_pillar
from ecs_appliance.core.facts import Facts
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Result, SystemRunner, end
from ecs_appliance.env.model import Env
from ecs_appliance.host import nftables

TEMPLATE = Path(__file__).parents[3] / "salt/states/hardening/files/firewall.nft"
PRIVATE, LAN, PUBLIC, CLOUD, CLOUD6 = "10.20.0.9", "192.168.7.9", "9.9.9.9", "169.254.169.254", "fd00:ec2::254"
WORLD = (PRIVATE, LAN, PUBLIC, CLOUD, "168.63.129.16")
INSIDE = {"docker0": "172.17.0.5", "br-ecs": "172.18.0.5"}
# Arguments: address, port and protocol, repeated. Prints the results; UDP that is not refused "went out".
CONNECT = """
import os, socket, sys
if sys.argv[1] != '-':
    os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[2]))
words = sys.argv[3:]
for address, port, protocol in zip(words[::3], words[1::3], words[2::3]):
    kind = socket.SOCK_DGRAM if protocol == 'udp' else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, kind) as one:
        one.settimeout(0.5)
        try:
            one.connect((address, int(port)))
            if protocol == 'udp':
                one.send(b'x'); one.recv(1)
            print('open')
        except ConnectionRefusedError:
            print('refused')
        except TimeoutError:
            print('went out')
        except OSError as error:
            print(error.strerror)
"""
SERVE = """
import socket, sys, threading
both = {'family': socket.AF_INET6, 'dualstack_ipv6': True}
servers = [socket.create_server(('::', int(port)), **both) for port in sys.argv[1:]]
def serve(server):
    while True:
        server.accept()[0].close()
for server in servers:
    threading.Thread(target=serve, args=(server,)).start()
print('ready', flush=True)
"""


@dataclass(frozen=True)
class Inside(SystemRunner):
    """Run everything in the network namespace `name`."""

    name: str

    def run(self, argv: Sequence[str | Path], **options: Any) -> Result:
        """See Runner.run."""
        return super().run(["ip", "netns", "exec", self.name, *argv], **options)


@dataclass(frozen=True)
class WithHosts(Inside):
    """Do the same, but let only the names in `hosts` resolve."""

    hosts: Mapping[str, str]

    def run(self, argv: Sequence[str | Path], **options: Any) -> Result:
        """See Runner.run."""
        if argv[0] != "getent":
            return super().run(argv, **options)
        address = self.hosts.get(str(argv[-1]))
        answer = f"{address}    STREAM\n" if address else ""
        return Result(("getent",), 0 if address else 2, answer, "", 0)


@dataclass(frozen=True)
class Lab:
    """The machine with its rules, the containers behind its bridges, and the world."""

    machine: Inside
    containers: dict[str, Inside]

    def load(self, *, containers: Sequence[str] = (), builds: Sequence[str] | None = None, domain: str = "") -> None:
        """Load the rules for an env.yml with these lists."""
        egress = {"containers": list(containers), **({} if builds is None else {"builds": list(builds)})}
        env = Env.model_validate({"appliance": {"domain": domain or "localhost", "network": {"egress": egress}}})
        pillar = build_pillar(None, Facts(4096, 2, "host"))
        pillar["machine"]["firewall"] |= {
            "egress": plan_egress(env),
            "docker_group": "4242",
            "cache_account": "4343",
        }
        rules = jinja2.Template(TEMPLATE.read_text()).render(pillar=pillar)
        nftables.load(self.machine, rules.replace('include "/etc/nftables/appliance.d/*.nft"', ""))

    def reach(self, bridge: str, *targets: tuple[str, int] | tuple[str, int, str]) -> list[str]:
        """Return the results of what a container behind `bridge` sends to `targets`."""
        return connect(self.containers[bridge], *targets)


def connect(
    runner: Inside, *targets: tuple[str, int] | tuple[str, int, str], ids: tuple[int, int] | None = None
) -> list[str]:
    gid, uid = map(str, ids) if ids else ("-", "-")
    words = [str(word) for target in targets for word in (*target, "tcp")[:3]]
    return runner.run(["python3", "-c", CONNECT, gid, uid, *words], timeout=60).stdout.splitlines()


MACHINE_LINKS = """
link set lo up
link add lan0 type veth peer name eth0 netns {world}
link add docker0 type veth peer name eth0 netns {docker0}
link add br-ecs type veth peer name eth0 netns {br-ecs}
address add 192.0.2.1/24 dev lan0
address add 172.17.0.1/24 dev docker0
address add 172.18.0.1/24 dev br-ecs
address add fd00:99::1/64 dev lan0 nodad
address add fd00:17::1/64 dev docker0 nodad
address add fd00:18::1/64 dev br-ecs nodad
link set lan0 up
link set docker0 up
link set br-ecs up
route add default via 192.0.2.9
-6 route add default via fd00:99::9
"""
WORLD_LINKS = """
link set lo up
link set eth0 up
address add 192.0.2.9/24 dev eth0
address add fd00:99::9/64 dev eth0 nodad
address add 10.20.0.9/32 dev lo
address add 192.168.7.9/32 dev lo
address add 9.9.9.9/32 dev lo
address add 169.254.169.254/32 dev lo
address add 168.63.129.16/32 dev lo
address add fd00:ec2::254/128 dev lo nodad
route add 172.16.0.0/12 via 192.0.2.1
-6 route add fd00::/16 via fd00:99::1
"""
CONTAINER_LINKS = """
link set lo up
link set eth0 up
address add 172.{net}.0.5/24 dev eth0
address add fd00:{net}::5/64 dev eth0 nodad
route add default via 172.{net}.0.1
-6 route add default via fd00:{net}::1
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    run, number = SystemRunner().run, os.getpid()
    inside = {name: Inside(f"ecs-e-{name}-{number}") for name in ("machine", "world", "docker0", "br-ecs")}
    links = {
        "machine": MACHINE_LINKS.replace("{", "{0[").replace("}", "]}").format({k: v.name for k, v in inside.items()}),
        "world": WORLD_LINKS,
        "docker0": CONTAINER_LINKS.format(net=17),
        "br-ecs": CONTAINER_LINKS.format(net=18),
    }
    for one in inside.values():
        run(["ip", "netns", "add", one.name], timeout=10)
    try:
        for name, commands in links.items():
            run(["ip", "-n", inside[name].name, "-batch", "-"], input=commands.replace("-6 ", ""), timeout=10)
        inside["machine"].run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"], timeout=5)
        with serving(inside["world"]):
            yield Lab(inside.pop("machine"), inside)
    finally:
        for name in links:
            run(["ip", "netns", "delete", f"ecs-e-{name}-{number}"], timeout=10)


@contextmanager
def serving(world: Inside) -> Iterator[None]:
    """Run servers on a few ports of every address of `world`."""
    ready = Event()
    argv = ["ip", "netns", "exec", world.name, "python3", "-c", SERVE, "53", "80", "443", "8080"]
    server = SystemRunner().spawn(argv, on_line=lambda _: ready.set())
    try:
        assert ready.wait(10)
        yield
    finally:
        end(server, grace=0)


@pytest.fixture
def resolving(tmp_path: Path) -> Paths:
    """Return a machine whose name server is in the private network."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text(f"nameserver 127.0.0.53\nnameserver {PRIVATE}\nnameserver fe80::1%lan0\n")
    return Paths(tmp_path)


def test_by_default_containers_reach_nothing_and_builds_the_public_web(lab: Lab) -> None:
    lab.load()
    assert lab.reach("br-ecs", *((address, 80) for address in (*WORLD, CLOUD6))) == ["refused"] * 6
    assert lab.reach("docker0", (PUBLIC, 80), (PUBLIC, 443), (PUBLIC, 8080)) == ["open", "open", "refused"]
    assert lab.reach("docker0", (PRIVATE, 80), (LAN, 80), (CLOUD, 80), (CLOUD6, 80)) == ["refused"] * 4


def test_what_is_refused_is_refused_at_once_whatever_it_is(lab: Lab) -> None:
    lab.load()
    assert lab.reach("br-ecs", (PRIVATE, 80), (PRIVATE, 80, "udp")) == ["refused", "No route to host"]


@pytest.mark.parametrize(
    ("entry", "reached"),
    [
        ("10.20.0.9:80", {(PRIVATE, 80)}),
        ("10.20.0.9", {(PRIVATE, 80), (PRIVATE, 8080)}),
        ("10.0.0.0/8:8080", {(PRIVATE, 8080)}),
        ("internet:80", {(PUBLIC, 80)}),
        ("internet", {(PUBLIC, 80), (PUBLIC, 8080)}),
        ("0.0.0.0/0", {(address, port) for address in (PRIVATE, LAN, PUBLIC) for port in (80, 8080)}),
    ],
)
def test_what_is_named_is_reached_and_nothing_else(lab: Lab, entry: str, reached: set[tuple[str, int]]) -> None:
    lab.load(containers=[entry])
    targets = [(address, port) for address in WORLD for port in (80, 8080)]
    seen = dict(zip(targets, lab.reach("br-ecs", *targets), strict=True))
    assert {target for target, state in seen.items() if state == "open"} == reached
    assert set(seen.values()) <= {"open", "refused"}


def test_names_are_reached_by_their_addresses_of_now(lab: Lab, resolving: Paths) -> None:
    lab.load(containers=["machine.appliance-test.invalid:80"])
    assert lab.reach("br-ecs", (PRIVATE, 80)) == ["refused"]
    runner = WithHosts(lab.machine.name, {"machine.appliance-test.invalid": PRIVATE})
    for _ in range(2):
        refresh_names(resolving, runner)
        assert lab.reach("br-ecs", (PRIVATE, 80), (PRIVATE, 8080), (LAN, 80)) == ["open", "refused", "refused"]
    refresh_names(resolving, WithHosts(lab.machine.name, {}))
    assert lab.reach("br-ecs", (PRIVATE, 80)) == ["open"]


def test_the_sites_own_name_is_always_reached_as_a_router_translates_it(lab: Lab, resolving: Paths) -> None:
    lab.load(domain="www.appliance-test.invalid")
    refresh_names(resolving, WithHosts(lab.machine.name, {"www.appliance-test.invalid": PUBLIC}))
    assert lab.reach("br-ecs", (PUBLIC, 443), (PUBLIC, 8080)) == ["open", "refused"]


@pytest.mark.parametrize("bridge", INSIDE)
def test_the_machines_name_servers_are_asked_and_no_others(lab: Lab, resolving: Paths, bridge: str) -> None:
    lab.load()
    refresh_names(resolving, lab.machine)
    assert lab.reach(bridge, (PRIVATE, 53), (PRIVATE, 53, "udp"), (LAN, 53)) == ["open", "refused", "refused"]
    assert lab.reach(bridge, (LAN, 53, "udp")) == ["No route to host"]


def test_of_the_machine_only_root_asks_a_clouds_metadata_service(lab: Lab) -> None:
    lab.load()
    targets = [(CLOUD, 80), (CLOUD6, 80), ("168.63.129.16", 80)]
    assert connect(lab.machine, *targets, ids=(0, 0)) == ["open"] * 3
    for account in (1000, 65534):
        assert connect(lab.machine, *targets, ids=(account, account)) == ["refused"] * 3
        assert connect(lab.machine, (CLOUD, 53), (PUBLIC, 8080), ids=(account, account)) == ["open", "open"]


def test_what_dockerd_and_the_cache_fetch_for_builds_goes_where_builds_may(lab: Lab) -> None:
    lab.load()
    for ids in ((4242, 0), (0, 4343)):
        seen = connect(lab.machine, (PUBLIC, 80), (CLOUD, 80), (PRIVATE, 80), (PUBLIC, 8080), ids=ids)
        assert seen == ["open", "refused", "refused", "refused"], ids


def test_networks_of_containers_do_not_reach_each_other(lab: Lab) -> None:
    lab.load(containers=["0.0.0.0/0"], builds=["0.0.0.0/0"])
    assert lab.reach("docker0", (INSIDE["br-ecs"], 80)) == ["refused"]
    assert lab.reach("br-ecs", (INSIDE["docker0"], 80)) == ["refused"]


def test_refused_packets_are_counted_and_named(lab: Lab) -> None:
    lab.load()
    lab.reach("br-ecs", (PRIVATE, 80), (PRIVATE, 80), (CLOUD, 80))
    lab.reach("docker0", (LAN, 8080, "udp"))
    connect(lab.machine, (CLOUD, 80), ids=(1000, 1000))
    assert nftables.refused_packets(lab.machine) == {"containers": 2, "builds": 1, "metadata": 2}
    seen = {(one.source, one.target, one.protocol, one.port): one.packets for one in nftables.refusals(lab.machine)}
    assert seen == {
        (INSIDE["br-ecs"], PRIVATE, "tcp", 80): 2,
        (INSIDE["br-ecs"], CLOUD, "tcp", 80): 1,
        (INSIDE["docker0"], LAN, "udp", 8080): 1,
        ("192.0.2.1", CLOUD, "tcp", 80): 1,
    }
