"""Unconfined containers are reported."""

from pathlib import Path

import pytest

from ecs_appliance.core.facts import Facts, read_facts
from ecs_appliance.core.paths import Paths
from ecs_appliance.lifecycle.apparmor import judge

WEB, REDIS = "ecs_ecs.web_1", "ecs_redis_1"
GOOD = {WEB: "ecs-application (enforce)", REDIS: "docker-default (enforce)"}


def machine(*, apparmor: bool, in_container: bool = False) -> Facts:
    return Facts(4096, 2, "host", apparmor=apparmor, in_container=in_container)


def test_all_confined_is_well() -> None:
    assert judge(machine(apparmor=True), GOOD) is None


@pytest.mark.parametrize("profile", ["", "unconfined", "ecs-application (complain)"])
def test_a_container_that_is_not_confined_is_named(profile: str) -> None:
    found = judge(machine(apparmor=True), GOOD | {WEB: profile})
    assert found
    assert found.message == f"AppArmor does not confine {WEB}"


def test_a_kernel_without_it_is_said_once_for_all() -> None:
    found = judge(machine(apparmor=False), dict.fromkeys(GOOD, ""))
    assert found
    assert "AppArmor is not active" in found.message


def test_a_machine_in_a_container_is_not_asked_for_what_is_its_hosts() -> None:
    assert judge(machine(apparmor=False, in_container=True), dict.fromkeys(GOOD, "")) is None


@pytest.mark.parametrize(
    ("kernel", "in_container", "expected"), [("Y\n", False, True), ("N\n", False, False), ("Y\n", True, False)]
)
def test_it_is_there_where_the_kernel_says_so_and_is_ours(
    tmp_path: Path, kernel: str, *, in_container: bool, expected: bool
) -> None:
    files = {"proc/meminfo": "MemTotal: 4194304 kB\n", "sys/module/apparmor/parameters/enabled": kernel}
    if in_container:
        files["run/systemd/container"] = "systemd-nspawn"
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    facts = read_facts(Paths(tmp_path))
    assert (facts.apparmor, facts.in_container) == (expected, in_container)
