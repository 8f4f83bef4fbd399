"""nftables: the appliance's own table. The kernel takes a file of rules as a whole or not at all."""

import json
from dataclasses import dataclass
from typing import Any

from ecs_appliance.core.runner import CommandError, Runner

TABLE = ("inet", "appliance")
# Counters and sets of what went nowhere.
REFUSED = "refused_"
NO_TABLE = "No such file or directory"
SECONDS = 30


def check(runner: Runner, rules: str) -> None:
    """Have the kernel look at `rules` without taking them. Raises CommandError with what is wrong, by file and line."""
    runner.run(["nft", "--check", "--file", "-"], input=rules, timeout=SECONDS)


def load(runner: Runner, rules: str) -> None:
    """Put `rules` in force. Raises CommandError, and then those before stay."""
    runner.run(["nft", "--file", "-"], input=rules, timeout=SECONDS)


def listing(runner: Runner) -> str:
    """The rules of our table as the kernel has them now, without counts and addresses; empty where it has no table."""
    argv = ["nft", "--stateless", "--terse", "list", "table", *TABLE]
    return runner.run(argv, timeout=SECONDS, ok=(0, 1)).stdout


@dataclass(frozen=True)
class Refusal:
    """Packets that one sender sent to one place and that were refused, within the last day."""

    source: str
    target: str
    protocol: str
    port: int
    packets: int


def set_names(runner: Runner) -> list[str]:
    """The names of the sets of our table; none where it has no table."""
    return [item["set"]["name"] for item in _objects(runner, "--terse") if "set" in item]


def refused_packets(runner: Runner) -> dict[str, int]:
    """How many packets each kind of sender had refused since the rules were loaded."""
    counters = (item["counter"] for item in _objects(runner) if "counter" in item)
    return {counter["name"].removeprefix(REFUSED): counter["packets"] for counter in counters}


def refusals(runner: Runner) -> list[Refusal]:
    """What was refused, by sender and target, the most first."""
    sets = (item["set"] for item in _objects(runner) if "set" in item)
    elements = [one["elem"] for each in sets if each["name"].startswith(REFUSED) for one in each.get("elem", ())]
    return sorted(map(_refusal, elements), key=lambda refusal: -refusal.packets)


def _refusal(element: dict[str, Any]) -> Refusal:
    source, target, protocol, port = element["val"]["concat"]
    return Refusal(source, target, protocol, port, element["counter"]["packets"])


def _objects(runner: Runner, *options: str) -> list[dict[str, Any]]:
    """What our table holds; nothing where there is no such table. Raises CommandError where the kernel does not say."""
    argv = ["nft", "--json", *options, "list", "table", *TABLE]
    try:
        listed = runner.run(argv, timeout=SECONDS).stdout
    except CommandError as error:
        if NO_TABLE in error.output:
            return []
        raise
    objects: list[dict[str, Any]] = json.loads(listed)["nftables"]
    return objects
