from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from ecs_appliance.core.errors import RefusedError
from lab.network import POOL, MachineNetwork, choose_subnet, read_resolvers


def test_the_first_subnet_is_chosen_on_an_empty_host() -> None:
    assert choose_subnet([]) == IPv4Network("10.214.0.0/24")


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        (["10.214.0.0/24"], "10.214.1.0/24"),
        (["10.214.0.0/24", "10.214.2.0/24"], "10.214.1.0/24"),
        (["10.214.1.7/32", "10.214.0.0/25"], "10.214.2.0/24"),
        (["192.0.2.0/24", "172.17.0.0/16"], "10.214.0.0/24"),
        (["10.214.0.0/17"], "10.214.128.0/24"),
    ],
)
def test_a_subnet_that_overlaps_a_route_is_passed_over(taken: list[str], chosen: str) -> None:
    assert choose_subnet(map(IPv4Network, taken)) == IPv4Network(chosen)


def test_a_full_pool_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"no free network"):
        choose_subnet([POOL])


def test_host_and_machine_have_the_first_two_addresses() -> None:
    network = MachineNetwork("demo", IPv4Network("10.214.3.0/24"))
    assert (network.gateway, network.address) == (IPv4Address("10.214.3.1"), IPv4Address("10.214.3.2"))
    assert "Address=10.214.3.2/24\nGateway=10.214.3.1\n" in network.guest_config()


def test_interface_names_fit_the_kernel_for_the_longest_name() -> None:
    assert len(MachineNetwork("a" * 12, POOL).bridge) <= 15


def test_resolvers_on_loopback_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# mine\nsearch example.org\nnameserver 127.0.0.1\nnameserver 192.0.2.53\n")
    assert read_resolvers([file]) == "# mine\nsearch example.org\nnameserver 192.0.2.53\n"


def test_behind_a_stub_resolver_its_servers_are_used(tmp_path: Path) -> None:
    stub, servers = tmp_path / "stub", tmp_path / "servers"
    stub.write_text("nameserver 127.0.0.53\noptions edns0\n")
    servers.write_text("nameserver fe80::1%eth0\n")
    assert read_resolvers([stub, servers]) == "nameserver fe80::1%eth0\n"


def test_a_host_with_loopback_resolvers_only_is_refused(tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    stub.write_text("nameserver ::1\n")
    with pytest.raises(RefusedError, match="loopback"):
        read_resolvers([stub, tmp_path / "missing"])
