"""Parse the destinations allowed in env.yml, or refuse them with a reason."""

from ipaddress import ip_network

import pytest

from ecs_appliance.env.egress import METADATA, Destination, parse_destination


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("internet", Destination()),
        ("internet:443", Destination(port=443)),
        ("Sentry.Example.org:443", Destination(name="sentry.example.org", port=443)),
        ("mirror", Destination(name="mirror")),
        ("10.20.0.0/16", Destination(network=ip_network("10.20.0.0/16"))),
        ("10.20.0.7:8080", Destination(network=ip_network("10.20.0.7/32"), port=8080)),
        ("0.0.0.0/0", Destination(network=ip_network("0.0.0.0/0"))),
        ("2001:db8::/32", Destination(network=ip_network("2001:db8::/32"))),
        ("[2001:db8::7]:443", Destination(network=ip_network("2001:db8::7/128"), port=443)),
        ("[2001:db8::7]", Destination(network=ip_network("2001:db8::7/128"))),
    ],
)
def test_a_destination_is_taken_apart(text: str, destination: Destination) -> None:
    assert parse_destination(text) == destination


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":443",
        "example.org:",
        "example.org:0",
        "example.org:65536",
        "example.org:443:443",
        "example.org:443 accept",
        "https://example.org",
        "*.example.org",
        "a_b.example.org",
        "10.20.0.1/16",
        "10.20.0",
        "10.20.0.256",
        "10.20.0.0/33",
        "[10.20.0.1",
        "[example.org]:443",
        "2001:db8::7::1",
        "1.2.3.4; accept",
        '"; flush ruleset',
        "10.0.0.0/8\n",
        "fe80::1%eth0",
        "١٠.0.0.1",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_destination(text)


@pytest.mark.parametrize("network", METADATA, ids=str)
def test_a_clouds_metadata_service_cannot_be_named(network: object) -> None:
    with pytest.raises(ValueError, match="only root may access"):
        parse_destination(str(network))
