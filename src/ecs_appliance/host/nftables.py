"""nftables: load and read the appliance's own table. The kernel applies a file of rules atomically."""

import json
from dataclasses import dataclass
from typing import Any

from ecs_appliance.core.runner import CommandError, Runner

TABLE = ("inet", "appliance")
# Prefix of the counters and sets of refused packets.
REFUSED = "refused_"
NO_TABLE = "No such file or directory"
SECONDS = 30


def check(runner: Runner, rules: str) -> None:
    """Have the kernel validate `rules` without applying them. Raise CommandError with line and reason."""
    runner.run(["nft", "--check", "--file", "-"], input=rules, timeout=SECONDS)


def load(runner: Runner, rules: str) -> None:
    """Apply `rules`. Raise CommandError if they are invalid; the previous rules then stay active."""
    runner.run(["nft", "--file", "-"], input=rules, timeout=SECONDS)


def listing(runner: Runner) -> str:
    """Return the kernel's current rules of our table, without counters and set elements; empty if it has no table."""
    argv = ["nft", "--stateless", "--terse", "list", "table", *TABLE]
    return runner.run(argv, timeout=SECONDS, ok=(0, 1)).stdout


@dataclass(frozen=True)
class Refusal:
    """Refused packets from one sender to one target within the last day."""

    source: str
    target: str
    protocol: str
    port: int
    packets: int


def set_names(runner: Runner) -> list[str]:
    """Return the names of the sets in our table; empty if it does not exist."""
    return [item["set"]["name"] for item in _objects(runner, "--terse") if "set" in item]


def refused_packets(runner: Runner) -> dict[str, int]:
    """Return the number of refused packets since the rules were loaded, by kind of sender."""
    counters = (item["counter"] for item in _objects(runner) if "counter" in item)
    return {counter["name"].removeprefix(REFUSED): counter["packets"] for counter in counters}


def refusals(runner: Runner) -> list[Refusal]:
    """Return what was refused by sender and target, most packets first."""
    sets = (item["set"] for item in _objects(runner) if "set" in item)
    elements = [one["elem"] for each in sets if each["name"].startswith(REFUSED) for one in each.get("elem", ())]
    return sorted(map(_refusal, elements), key=lambda refusal: -refusal.packets)


def _refusal(element: dict[str, Any]) -> Refusal:
    source, target, protocol, port = element["val"]["concat"]
    return Refusal(source, target, protocol, port, element["counter"]["packets"])


def _objects(runner: Runner, *options: str) -> list[dict[str, Any]]:
    """Return the objects in our table; empty if it does not exist. Raise CommandError if it cannot be read."""
    argv = ["nft", "--json", *options, "list", "table", *TABLE]
    try:
        listed = runner.run(argv, timeout=SECONDS).stdout
    except CommandError as error:
        if NO_TABLE in error.output:
            return []
        raise
    objects: list[dict[str, Any]] = json.loads(listed)["nftables"]
    return objects
