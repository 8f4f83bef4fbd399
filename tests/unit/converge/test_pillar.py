"""What the states are told of an environment."""

from ecs_appliance.converge.pillar import build_pillar
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


def test_the_environment_itself_is_there_for_the_operators_own_states() -> None:
    pillar = build_pillar(env(domain="ecs.example.org"), FACTS)
    assert pillar["appliance"]["domain"] == "ecs.example.org"
