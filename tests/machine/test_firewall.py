"""Only the allowed ports can be reached, by strangers in the network and by containers."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.machine.neighbour import MACHINE_V6, STRANGER_V6, Neighbour, Scan, give_v6, moved_in

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until


# The allowed ports (22, 25, 80, 443, 465) that have a listener in this version.
LISTENING = {22, 80, 443}
ALL_TCP = ("-sS", "-p-", "--min-rate", "3000")
CLOSED = Scan(set(), {"closed"})
UDP = "53,67,68,69,111,123,137,161,443,500,514,546,1900,5353"
PRIVATE = "22,25,53,80,443,3142,5000,5432,6379,8017,8025,9000,9999,11211"
BRIDGES = ("172.17.0.1", "172.18.0.1")
WEB = "ecs_ecs.web_1"
STANDS_IN = 8080
# Limits per source address: connections at once, and new ones in quick succession.
MOST_AT_ONCE, MOST_QUICKLY = 4096, 5000
# Generous: other tests measure how long a return takes.
BACK_SECONDS = 180
STRAYS = ("appliance-test-published", "appliance-test-host")
# Arguments: addresses and ports, alternating. Prints the result of each connection.
CONNECT = """
import socket, sys
words = sys.argv[1:]
for address, port in zip(words[::2], words[1::2]):
    try:
        socket.create_connection((address, int(port)), 3).close()
        print('open')
    except ConnectionRefusedError:
        print('refused')
    except OSError:
        print('nothing')
"""
# Arguments: two own addresses, the neighbour's, a port, a number. Prints how many connections the first address can
# hold open, and how many of twenty the second then gets. Connects no faster than nginx accepts.
HOLD = """
import resource, select, socket, sys, time
first, second, other, port, count = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
held = {first: [], second: []}
for own, number in ((first, count), (second, 20)):
    for place in range(number):
        one = socket.socket()
        one.bind((own, 0))
        one.setblocking(False)
        one.connect_ex((other, port))
        held[own].append(one)
        if place % 100 == 99:
            time.sleep(0.1)
    time.sleep(3)
for own in (first, second):
    poll = select.poll()
    for one in held[own]:
        poll.register(one, select.POLLOUT)
    print(sum(1 for _, event in poll.poll(0) if event == select.POLLOUT))
"""
# Arguments: own address, the neighbour's, a port, a number. Opens connections without waiting for them.
ASK = """
import socket, sys
own, other, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for _ in range(count):
    with socket.socket() as one:
        one.bind((own, 0))
        one.setblocking(False)
        one.connect_ex((other, port))
"""


@pytest.fixture(scope="module")
def neighbour(demo: "Demo") -> Iterator[Neighbour]:
    with moved_in(demo.machine) as neighbour:
        yield neighbour


@pytest.fixture
def strays(demo: "Demo") -> Iterator[None]:
    """Run containers exposed to everybody: one by a published port, one in the machine's own network."""
    serve = "python3 -m http.server"
    demo.sh(f"docker run --detach --rm --name {STRAYS[0]} -p 9999:9000 ecs/ecs {serve} 9000")
    demo.sh(f"docker run --detach --rm --name {STRAYS[1]} --network host ecs/ecs {serve} 9998")
    yield
    demo.sh(f"docker rm --force {' '.join(STRAYS)}")


@pytest.fixture
def rules(demo: "Demo") -> Iterator[Callable[[str, str], None]]:
    """Yield a function that writes a file of the operator's rules; remove and unload it afterwards."""
    written = []

    def write(name: str, text: str) -> None:
        written.append(f"/etc/nftables/appliance.d/{name}")
        demo.machine.guest.push(written[-1], text)

    yield write
    demo.sh(f"rm -f {' '.join(written)}; systemctl reload appliance-firewall")


def connect(demo: "Demo", *targets: tuple[str, int], container: str = WEB) -> list[str]:
    """Return the results of connections from `container` to `targets`; "" is a new one on docker's bridge."""
    enter = ["docker", "exec", container] if container else ["docker", "run", "--rm", "ecs/ecs"]
    words = [str(word) for target in targets for word in target]
    done = demo.exec([*enter, "python3", "-c", CONNECT, *words])
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def local_state(demo: "Demo", port: int) -> str:
    done = demo.exec(["python3", "-c", CONNECT, "127.0.0.1", str(port)])
    return done.stdout.strip()


def addresses(demo: "Demo", field: str, *containers: str) -> list[str]:
    """Return `field` of every network of each of `containers`."""
    template = f"{{{{range .NetworkSettings.Networks}}}}{{{{{field}}}}} {{{{end}}}}"
    return demo.sh(f"docker inspect --format '{template}' {' '.join(containers)}").split()


def dropped(demo: "Demo", chain: str) -> int:
    """Return the number of packets dropped by the only rule in `chain` that counts."""
    rule = demo.sh(f"nft list chain inet appliance {chain} | grep 'counter packets'")
    return int(rule.split("packets ")[1].split()[0])


def all_is_well(demo: "Demo") -> bool:
    return demo.exec(["systemctl", "is-active", "appliance"]).stdout.strip() == "active" and demo.answers()


def test_a_scan_shows_the_allowed_ports_alone(demo: "Demo", neighbour: Neighbour, strays: None, until: "Until") -> None:
    until(lambda: (local_state(demo, 9999), local_state(demo, 9998)) == ("open", "open"), 30)
    for address in (neighbour.machine, MACHINE_V6):
        assert neighbour.scan(address, *ALL_TCP) == Scan(LISTENING, {"closed"}), address


def test_no_udp_port_is_open(neighbour: Neighbour) -> None:
    for address in (neighbour.machine, MACHINE_V6):
        # The kernel sends "unreachable" to an address once per second.
        assert neighbour.scan(address, "-sU", "-p", UDP, "--scan-delay", "1100ms") == CLOSED, address


def test_nothing_of_the_containers_is_reached_by_their_addresses(
    demo: "Demo", neighbour: Neighbour, strays: None
) -> None:
    """A stranger routes docker's networks to this machine."""
    found = addresses(demo, ".IPAddress", WEB, "ecs_ecs.smtpd_1", "ecs_redis_1", "ecs_memcached_1", STRAYS[0])
    # web is on three networks, each of the others on one.
    assert len(found) == 7
    for address in (*BRIDGES, *found):
        assert neighbour.scan(address, "-sS", "-p", PRIVATE) == CLOSED, address


def test_who_claims_to_be_a_container_is_not_listened_to(demo: "Demo", neighbour: Neighbour) -> None:
    """Answers would go to the containers, so only the machine knows what happened to the packets."""
    hardware = demo.sh("cat /sys/class/net/host0/address")
    neighbour.run(["ip", "neighbour", "replace", demo.address, "lladdr", hardware, "dev", "eth0"])
    neighbour.run(["ip", "address", "add", "172.18.0.9/32", "dev", "lo"])
    before = dropped(demo, "input")
    for port in ("22", "443", "5432"):
        assert neighbour.run(["python3", "-c", ASK, "172.18.0.9", demo.address, port, "10"]).returncode == 0
    assert dropped(demo, "input") >= before + 30


def test_containers_reach_what_they_need_of_the_machine_and_nothing_else(demo: "Demo") -> None:
    demo.sh("systemd-run --quiet --unit=mail-stands-in python3 -m http.server 25 --bind 172.17.0.1; sleep 1")
    own = demo.address
    needed = [(BRIDGES[0], port) for port in (25, 80, 443, 5432)] + [(own, 80), (own, 443)]
    refused = [(BRIDGES[0], port) for port in (22, 3142, 8017, 5000, 9100)] + [(own, 22), (own, 5432)]
    try:
        assert connect(demo, *needed) == ["open"] * len(needed)
        # Where build steps run, only the download cache can be reached.
        assert connect(demo, *needed, container="") == ["refused"] * len(needed)
    finally:
        demo.sh("systemctl stop mail-stands-in")
    assert connect(demo, *refused) == ["refused"] * len(refused)
    assert connect(demo, (BRIDGES[0], 3142), container="") == ["open"]


def test_containers_are_refused_the_world(demo: "Demo", neighbour: Neighbour) -> None:
    """For what env.yml allows, see test_hostile_network."""
    with neighbour.serving(STANDS_IN):
        for container in (WEB, "ecs_ecs.worker_1", ""):
            assert connect(demo, (str(neighbour.addresses[0]), STANDS_IN), container=container) == ["refused"]


def test_containers_with_ipv6_neither_reach_the_world_nor_are_reached(demo: "Demo", neighbour: Neighbour) -> None:
    neighbour.run(["ip", "route", "replace", "fd00:ec6::/64", "via", str(MACHINE_V6)])
    demo.sh("docker network create --ipv6 --subnet fd00:ec6::/64 appliance-test-v6")
    try:
        serve = f"python3 -m http.server {STANDS_IN} --bind ::"
        demo.sh(f"docker run --detach --rm --network appliance-test-v6 --name {STRAYS[0]} ecs/ecs {serve}")
        address = addresses(demo, ".GlobalIPv6Address", STRAYS[0])[0]
        with neighbour.serving(STANDS_IN):
            assert connect(demo, (str(STRANGER_V6), STANDS_IN), container=STRAYS[0]) == ["refused"]
        assert neighbour.scan(address, "-sS", "-p", str(STANDS_IN)) == CLOSED
    finally:
        demo.sh(f"docker rm --force {STRAYS[0]}; docker network rm appliance-test-v6")


def test_one_client_holds_a_part_of_the_connections_only(neighbour: Neighbour) -> None:
    first, second, _ = map(str, neighbour.addresses)
    hold = ["python3", "-c", HOLD, first, second, str(neighbour.machine), "443"]
    held, other = map(int, neighbour.run([*hold, "4500"]).stdout.split())
    assert MOST_AT_ONCE - 200 <= held <= MOST_AT_ONCE
    assert other == 20
    assert neighbour.run([*hold, "300"]).stdout.split() == ["300", "20"]


def test_one_client_makes_only_so_many_connections(demo: "Demo", neighbour: Neighbour) -> None:
    before, count = dropped(demo, "exceeded"), 2 * MOST_QUICKLY
    words = [str(neighbour.addresses[2]), str(neighbour.machine), "80", str(count)]
    assert neighbour.run(["python3", "-c", ASK, *words]).returncode == 0
    # Sending takes a while, during which the limit lets more through.
    assert 0.5 * MOST_QUICKLY <= dropped(demo, "exceeded") - before <= count - MOST_QUICKLY


def test_rules_of_the_operator_open_a_port_and_close_one(
    demo: "Demo", neighbour: Neighbour, rules: Callable[[str, str], None]
) -> None:
    first, second, _ = map(str, neighbour.addresses)
    rules("50-own.nft", f"tcp dport 9100 accept\ntcp dport 22 ip saddr {first} drop\n")
    demo.sh("systemctl reload appliance-firewall; systemd-run --quiet --unit=own python3 -m http.server 9100; sleep 1")
    try:
        seen = neighbour.scan(neighbour.machine, *ALL_TCP, "-S", first, "-e", "eth0")
        assert seen == Scan({80, 443, 9100}, {"closed", "filtered"})
        assert neighbour.scan(neighbour.machine, "-sS", "-p22", "-S", second, "-e", "eth0").open == {22}
    finally:
        demo.sh("systemctl stop own")


def test_a_broken_file_of_the_operator_is_named_and_the_rules_stay(
    demo: "Demo", neighbour: Neighbour, rules: Callable[[str, str], None]
) -> None:
    before = demo.sh("nft --stateless --terse list table inet appliance")
    rules("50-broken.nft", "tcp dport 9100 akzept\n")
    done = demo.exec(["appliance", "converge", "--json"])
    report = json.loads(done.stdout.splitlines()[-1])
    failed = [state for state in report["shown"] if state["outcome"] == "failed"]
    assert [state["name"] for state in failed] == ["firewall.loaded firewall"]
    assert "/etc/nftables/appliance.d/50-broken.nft:1:" in json.dumps(failed)
    assert done.returncode == 1
    assert demo.exec(["systemctl", "reload", "appliance-firewall"]).returncode != 0
    demo.sh("systemctl restart appliance-firewall")
    assert demo.sh("nft --stateless --terse list table inet appliance") == before
    assert neighbour.scan(neighbour.machine, "-sS", "-p22,80,443").open == LISTENING


def test_what_somebody_flushed_is_put_back_by_the_next_converge(demo: "Demo") -> None:
    before = demo.sh("nft --stateless --terse list table inet appliance")
    demo.sh("nft delete table inet appliance")
    demo.sh("appliance converge")
    assert demo.sh("nft --stateless --terse list table inet appliance") == before
    assert demo.exec(["systemctl", "start", "nftables"]).returncode != 0


def test_a_restart_of_docker_and_of_the_firewall_leaves_both_in_force(
    demo: "Demo", neighbour: Neighbour, until: "Until"
) -> None:
    demo.sh("systemctl restart appliance-firewall; systemctl restart docker", timeout=120)
    until(lambda: all_is_well(demo), BACK_SECONDS)
    demo.sh("systemctl restart appliance-firewall")
    test_containers_are_refused_the_world(demo, neighbour)
    assert connect(demo, (BRIDGES[0], 5432)) == ["open"]
    assert neighbour.scan(BRIDGES[0], "-sS", "-p", "22,5432,8017") == CLOSED


def test_after_a_reboot_the_rules_are_there_before_the_network(
    demo: "Demo", neighbour: Neighbour, until: "Until"
) -> None:
    demo.machine.reboot()
    until(lambda: all_is_well(demo), BACK_SECONDS)
    give_v6(demo.machine)
    times = {
        unit: int(demo.sh(f"systemctl show {unit} --property=ActiveEnterTimestampMonotonic --value"))
        for unit in ("appliance-firewall.service", "systemd-networkd.service", "ssh.service")
    }
    assert 0 < times["appliance-firewall.service"] < min(times["systemd-networkd.service"], times["ssh.service"])
    assert neighbour.scan(neighbour.machine, *ALL_TCP) == Scan(LISTENING, {"closed"})
    test_containers_are_refused_the_world(demo, neighbour)
