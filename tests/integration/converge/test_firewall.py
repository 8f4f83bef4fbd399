"""The firewall's rules in a network namespace: broken rules never replace the active ones."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pytest

from ecs_appliance.converge.firewall import LOADED, OPERATORS, OURS, firewall_is_current, load_firewall
from ecs_appliance.converge.pillar import build_pillar
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.facts import Facts
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Result, SystemRunner
from ecs_appliance.host import nftables

TEMPLATE = Path(__file__).parents[3] / "salt/states/hardening/files/firewall.nft"
DOCKERS = "table ip filter { chain DOCKER { counter accept; }; }"


class InNetwork(SystemRunner):
    """Run everything in the network namespace `name`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, argv: Sequence[str | Path], **options: Any) -> Result:
        """See Runner.run."""
        return super().run(["ip", "netns", "exec", self.name, *argv], **options)


@pytest.fixture
def runner() -> Iterator[InNetwork]:
    name = f"ecs-fw-{os.getpid()}"
    SystemRunner().run(["ip", "netns", "add", name], timeout=10)
    try:
        yield InNetwork(name)
    finally:
        SystemRunner().run(["ip", "netns", "delete", name], timeout=10)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return a root with the files as Salt writes them."""
    paths = Paths(tmp_path)
    paths.at(OPERATORS).mkdir(parents=True)
    write_ours(paths)
    return paths


def write_ours(paths: Paths, **changed: object) -> None:
    pillar = build_pillar(None, Facts(4096, 2, "host"))
    pillar["machine"]["firewall"] |= changed
    paths.at(OURS).write_text(jinja2.Template(TEMPLATE.read_text()).render(pillar=pillar))


def add(paths: Paths, name: str, rules: str) -> Path:
    file = paths.at(OPERATORS) / name
    file.write_text(rules)
    return file


def test_it_is_loaded_once_and_kept_for_the_next_boot(paths: Paths, runner: InNetwork) -> None:
    assert not firewall_is_current(paths, runner)
    load_firewall(paths, runner)
    assert firewall_is_current(paths, runner)
    before = nftables.listing(runner)
    assert "tcp dport { 22, 25, 80, 443, 465 }" in before
    runner.run(["nft", "delete", "table", *nftables.TABLE], timeout=10)
    runner.run(["nft", "--file", paths.at(LOADED)], timeout=10)
    assert nftables.listing(runner) == before
    assert firewall_is_current(paths, runner)


def test_what_docker_has_stays(paths: Paths, runner: InNetwork) -> None:
    runner.run(["nft", DOCKERS], timeout=10)
    for _ in range(2):
        load_firewall(paths, runner)
    assert "counter" in runner.run(["nft", "list", "chain", "ip", "filter", "DOCKER"], timeout=10).stdout


@pytest.mark.parametrize(
    "damage",
    [
        "delete table inet appliance",
        "flush chain inet appliance input",
        "add rule inet appliance public tcp dport 23 accept",
        "chain inet appliance input { policy accept; }",
    ],
)
def test_what_was_changed_by_hand_is_seen_and_put_right(paths: Paths, runner: InNetwork, damage: str) -> None:
    load_firewall(paths, runner)
    before = nftables.listing(runner)
    runner.run(["nft", damage], timeout=10)
    assert not firewall_is_current(paths, runner)
    load_firewall(paths, runner)
    assert nftables.listing(runner) == before


def test_clients_that_come_and_go_are_no_change(paths: Paths, runner: InNetwork) -> None:
    load_firewall(paths, runner)
    runner.run(["nft", "add element inet appliance fresh4 { 192.0.2.7 timeout 50s }"], timeout=10)
    assert firewall_is_current(paths, runner)


def test_rules_of_the_operator_stand_before_ours(paths: Paths, runner: InNetwork) -> None:
    add(paths, "50-monitoring.nft", "# Überwachung\ntcp dport 9100 ip saddr 192.0.2.0/24 accept\n")
    add(paths, "10-ssh.nft", "tcp dport 22 ip saddr != 192.0.2.0/24 drop")
    load_firewall(paths, runner)
    rules = nftables.listing(runner).splitlines()
    places = [next(i for i, line in enumerate(rules) if part in line) for part in ("22 ip saddr", "9100", "{ 22, 25,")]
    assert places == sorted(places)
    assert firewall_is_current(paths, runner)


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ("tcp dport 9100 akzept\n", "akzept"),
        ("# all is well here\n}\n", "unexpected '}'"),
        ("jump nowhere\n", "nowhere"),
    ],
)
def test_a_broken_file_is_named_and_changes_nothing(
    paths: Paths, runner: InNetwork, rules: str, complaint: str
) -> None:
    good = add(paths, "10-good.nft", "tcp dport 9100 accept\n")
    load_firewall(paths, runner)
    before, kept = nftables.listing(runner), paths.at(LOADED).read_text()
    broken = add(paths, "20-broken.nft", rules)
    good.unlink()
    assert not firewall_is_current(paths, runner)
    with pytest.raises(ApplianceError, match=r"20-broken\.nft cannot be loaded") as caught:
        load_firewall(paths, runner)
    assert complaint in caught.value.message
    assert (nftables.listing(runner), paths.at(LOADED).read_text()) == (before, kept)
    broken.unlink()
    load_firewall(paths, runner)
    assert "9100" not in nftables.listing(runner)


def test_a_file_broken_from_the_beginning_leaves_ours(paths: Paths, runner: InNetwork) -> None:
    add(paths, "20-broken.nft", "nonsense")
    with pytest.raises(ApplianceError, match="20-broken"):
        load_firewall(paths, runner)
    assert "{ 22, 25, 80, 443, 465 }" in nftables.listing(runner)
    assert paths.at(LOADED).exists()
    assert not firewall_is_current(paths, runner)


def test_a_file_that_cannot_be_read_is_named(paths: Paths, runner: InNetwork) -> None:
    (paths.at(OPERATORS) / "link.nft").symlink_to("/nowhere")
    with pytest.raises(ApplianceError, match=r"link\.nft cannot be"):
        load_firewall(paths, runner)


def test_a_new_version_of_ours_takes_effect(paths: Paths, runner: InNetwork) -> None:
    load_firewall(paths, runner)
    write_ours(paths, ports=[22, 443])
    assert not firewall_is_current(paths, runner)
    load_firewall(paths, runner)
    assert "tcp dport { 22, 443 }" in nftables.listing(runner)
