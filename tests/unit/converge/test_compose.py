"""The rendered compose file: networks, secrets and limits by task."""

import json
from pathlib import Path
from typing import Any

import jinja2
import pytest
from ruamel.yaml import YAML

from ecs_appliance.converge.pillar import build_pillar
from ecs_appliance.core.facts import Facts
from ecs_appliance.env.model import Env

TEMPLATE = Path(__file__).parents[3] / "containers/compose.yml"
FULL = {"database_url.env", "redis_url.env", "memcached_url.env", "smtp_url.env"}
SITE = ("ecs.web", "ecs.worker", "ecs.beat", "ecs.smtpd")


def render(facts: Facts) -> dict[str, Any]:
    needed = {"settings": "X = 'ä $HOME'", "vault_encrypt": "", "vault_sign": ""}
    env = Env.model_validate({"appliance": {"domain": "ecs.example.org"}, "ecs": needed}, strict=False)
    jinja = jinja2.Environment(autoescape=False)  # noqa: S701 # YAML, as Salt does it
    jinja.filters["tojson"] = json.dumps
    compose = build_pillar(env, facts)["machine"]["compose"]
    return YAML(typ="safe").load(jinja.from_string(TEMPLATE.read_text()).render(compose=compose))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    return render(Facts(4096, 2, "host"))


@pytest.mark.parametrize(
    ("service", "networks", "secrets"),
    [
        ("ecs.web", {"ecs", "queue", "cache"}, FULL),
        ("ecs.worker", {"ecs", "queue", "cache"}, FULL),
        ("ecs.beat", {"queue"}, {"redis_url.env"}),
        ("ecs.smtpd", {"ecs"}, {"database_url.env"}),
        ("redis", {"queue"}, set()),
        ("memcached", {"cache"}, set()),
    ],
)
def test_each_container_has_the_networks_and_secrets_of_its_task(
    file: dict[str, Any], service: str, networks: set[str], secrets: set[str]
) -> None:
    assert set(file["services"][service]["networks"]) == networks
    assert set(file["services"][service].get("env_file", ())) == secrets


def test_only_one_network_leads_out_and_none_from_container_to_container_there(file: dict[str, Any]) -> None:
    inner = {name for name, network in file["networks"].items() if network.get("internal")}
    assert inner == {"queue", "cache"}
    assert file["networks"]["ecs"]["driver_opts"]["com.docker.network.bridge.enable_icc"] == "false"


def test_whatever_is_published_is_published_to_this_machine_alone(file: dict[str, Any]) -> None:
    published = [port for service in file["services"].values() for port in service.get("ports", ())]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_none_may_have_all_of_the_memory_or_swap(file: dict[str, Any]) -> None:
    for name, service in file["services"].items():
        assert int(service["mem_limit"].removesuffix("m")) <= 4096 * 0.45, name
        assert service["memswap_limit"] == service["mem_limit"], name
        assert service["cgroup_parent"] == "ecs.slice", name


def test_a_profile_is_asked_for_where_the_kernel_has_it(file: dict[str, Any]) -> None:
    """Docker refuses to start a container with a profile that is not loaded."""
    confined = render(Facts(4096, 2, "host", apparmor=True))
    for name in SITE:
        assert file["services"][name]["security_opt"] == ["no-new-privileges:true"]
        assert confined["services"][name]["security_opt"] == ["no-new-privileges:true", "apparmor=ecs-application"]


def test_no_volume_has_a_name(file: dict[str, Any]) -> None:
    """Volumes are removed with their containers (docker compose down --volumes); data to keep is in host folders."""
    assert "volumes" not in file
    for name, service in file["services"].items():
        sources = [each if isinstance(each, dict) else {"source": each} for each in service.get("volumes", ())]
        assert [each for each in sources if each.get("type") != "tmpfs" and each["source"][0] not in "/."] == [], name


def test_docker_starts_nothing_again_by_itself(file: dict[str, Any]) -> None:
    """It would restart the same container with its leftovers, and at boot before the stages have run."""
    assert {service["restart"] for service in file["services"].values()} == {"no"}
