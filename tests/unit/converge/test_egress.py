"""The rules generated for a destination, and what is allowed without being named."""

import ipaddress

import pytest

from ecs_appliance.converge.egress import NOT_PUBLIC_V4, plan_egress, plan_rules
from ecs_appliance.env.egress import parse_destination
from ecs_appliance.env.model import Env


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("10.20.0.0/16", ["ip daddr 10.20.0.0/16 accept"]),
        ("[2001:db8::7]:53", ["ip6 daddr 2001:db8::7/128 meta l4proto { tcp, udp } th dport 53 accept"]),
        ("sentry.example.org", [f"{ip} daddr @v{v}/sentry.example.org accept" for ip, v in (("ip", 4), ("ip6", 6))]),
    ],
)
def test_a_destination_becomes_rules(text: str, rules: list[str]) -> None:
    assert plan_rules(parse_destination(text)) == rules


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "172.17.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "127.0.0.1"]
)
def test_no_private_address_is_of_the_internet(address: str) -> None:
    assert any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in NOT_PUBLIC_V4)


def test_without_a_word_in_env_yml_containers_reach_the_site_alone_and_builds_the_web() -> None:
    names = "www.example.org *.example.org 192.0.2.1 localhost"
    planned = plan_egress(Env.model_validate({"appliance": {"domain": "ecs.example.org", "allowed_hosts": names}}))
    assert planned["names"] == ["ecs.example.org", "www.example.org"]
    assert len(planned["rules"]["containers"]) == 2 * 2 * 2
    assert all("@v" in rule and ("dport 80" in rule or "dport 443" in rule) for rule in planned["rules"]["containers"])
    assert len(planned["rules"]["builds"]) == 2 * 2
    assert plan_egress(None)["rules"]["containers"] == []
