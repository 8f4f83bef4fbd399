"""Which name servers containers use: those that docker derives from the machine's."""

from pathlib import Path

import pytest

from ecs_appliance.converge.names import name_servers
from ecs_appliance.core.paths import Paths

STUB = "nameserver 127.0.0.53\noptions edns0\n"


@pytest.mark.parametrize(
    ("own", "behind", "servers"),
    [
        ("search x\nnameserver 10.1.1.1\nnameserver 10.1.1.1\nnameserver fd00::53\n", "", ["10.1.1.1", "fd00::53"]),
        ("nameserver 127.0.0.1\nnameserver 10.1.1.1\n", "", ["10.1.1.1"]),
        (STUB, "nameserver 192.0.2.53\n", ["192.0.2.53"]),
        (STUB, "", ["8.8.8.8", "8.8.4.4"]),
        ("nameserver\nnameserver nonsense\nnameserver fe80::1%eth0\n", "", ["8.8.8.8", "8.8.4.4"]),
    ],
)
def test_name_servers_are_those_that_docker_has_containers_ask(
    tmp_path: Path, own: str, behind: str, servers: list[str]
) -> None:
    for file, text in (("etc/resolv.conf", own), ("run/systemd/resolve/resolv.conf", behind)):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text)
    assert [str(server) for server in name_servers(Paths(tmp_path))] == servers
