"""The pillar built from an environment."""

from datetime import date

import pytest

from ecs_appliance.converge.pillar import build_pillar
from ecs_appliance.converge.pillar.frontend import plan_security
from ecs_appliance.converge.ssh import Ssh
from ecs_appliance.core.facts import Facts
from ecs_appliance.env.model import Env

FACTS = Facts(memory_mb=4096, cores=2, hostname="host")


def env(**appliance: object) -> Env:
    needed = {"settings": "X = '$HOME'", "vault_encrypt": "", "vault_sign": ""}
    return Env.model_validate({"appliance": appliance, "ecs": needed}, strict=False)


def test_an_unconfigured_machine_answers_by_any_name_and_has_no_timer() -> None:
    machine = build_pillar(None, FACTS)["machine"]
    assert machine["configured"] is False
    assert machine["update"]["automatic"] is False
    assert machine["compose"] == {}


def test_standby_without_a_domain_still_gives_a_name() -> None:
    machine = build_pillar(env(standby=True), FACTS)["machine"]
    assert [site["name"] for site in machine["nginx"]["sites"]] == ["localhost"]
    assert machine["hostname"] == ""


def test_dollars_are_doubled_for_compose() -> None:
    given = env(domain="ecs.example.org")
    assert build_pillar(given, FACTS)["machine"]["compose"]["ecs_settings"].endswith("'$$HOME'")


SECRETS = {
    "backup": {"password": "of-the-backup", "url": "sftp://me:of-the-url@host/x"},
    "sentry": {"dsn": "https://of-sentry@sentry.example.org/1"},
}


def test_only_what_states_need_is_there_and_no_secret_that_none_of_them_writes() -> None:
    pillar = build_pillar(env(domain="ecs.example.org", **SECRETS), FACTS)
    assert list(pillar) == ["machine"]
    assert "X = " in str(pillar), "the application's settings are written into the compose file"
    for secret in ("of-the-backup", "of-the-url", "of-sentry"):
        assert secret not in str(pillar)


def test_the_operators_own_states_find_the_environment_without_its_secrets() -> None:
    given = env(domain="ecs.example.org", extra={"states": "x: {test.nop: []}"}, **SECRETS)
    pillar = build_pillar(given, FACTS)
    assert pillar["appliance"]["domain"] == "ecs.example.org"
    assert pillar["appliance"]["backup"]["keep_last"] == 96
    for secret in ("of-the-backup", "of-the-url", "of-sentry"):
        assert secret not in str(pillar)


def test_names_of_the_site_are_as_clients_write_them_each_once() -> None:
    given = env(domain="WWW.example.org", allowed_hosts="*.example.org 192.0.2.7 2001:DB8:0::7 [2001:db8::7] ::1 [::1]")
    sites = build_pillar(given, FACTS)["machine"]["nginx"]["sites"]
    names = ["www.example.org", "*.example.org", "192.0.2.7", "[2001:db8::7]", "[::1]"]
    assert [site["server_name"] for site in sites] == names
    assert [site["certificate"].rpartition("/")[2] for site in sites][:2] == [
        "www.example.org.pem",
        "_.example.org.pem",
    ]


@pytest.mark.parametrize(("cache", "ports"), [(False, []), (True, [3142])])
def test_builds_reach_the_cache_where_there_is_one_and_nothing_else(*, cache: bool, ports: list[int]) -> None:
    given = env(domain="ecs.example.org", storage={"proxy_cache": cache})
    firewall = build_pillar(given, FACTS)["machine"]["firewall"]
    assert firewall["build_ports"] == ports
    assert firewall["application_ports"] == [25, 80, 443, 5432]
    assert firewall["ports"] == [22, 25, 80, 443, 465]


def test_the_firewall_is_the_same_before_there_is_an_environment() -> None:
    assert build_pillar(None, FACTS)["machine"]["firewall"]["ports"] == [22, 25, 80, 443, 465]


def test_ssh_on_another_port_is_not_locked_out() -> None:
    machine = build_pillar(None, FACTS, ssh=Ssh(keys_only=True, ports=(22, 2222)))["machine"]
    assert machine["firewall"]["ports"] == [22, 2222, 25, 80, 443, 465]
    assert machine["ssh"]["keys_only"] is True


def test_the_containers_networks_are_parts_of_the_one_that_everybody_knows() -> None:
    subnets = build_pillar(env(domain="ecs.example.org"), FACTS)["machine"]["compose"]["subnets"]
    assert subnets == {"br-ecs": "172.18.0.0/26", "br-ecs-queue": "172.18.0.64/26", "br-ecs-cache": "172.18.0.128/26"}


@pytest.mark.parametrize(
    ("today", "expires"),
    [
        (date(2026, 1, 1), "2026-12-31"),
        (date(2026, 6, 30), "2026-12-31"),
        (date(2026, 7, 1), "2027-06-30"),
        (date(2026, 12, 31), "2027-06-30"),
    ],
)
def test_who_hears_of_holes_is_told_for_half_a_year_at_least_and_a_year_at_most(today: date, expires: str) -> None:
    security = plan_security(env(domain="ecs.example.org", security_contact="cert@example.org"), today)
    assert security == {
        "contact": "mailto:cert@example.org",
        "expires": f"{expires}T00:00:00Z",
        "canonical": "https://ecs.example.org/.well-known/security.txt",
    }


def test_nobody_is_named_who_was_not_asked() -> None:
    assert build_pillar(env(domain="ecs.example.org"), FACTS)["machine"]["nginx"]["security"] == {}
