"""nftables: the appliance's own table. The kernel takes a file of rules as a whole or not at all."""

from ecs_appliance.core.runner import Runner

TABLE = ("inet", "appliance")
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
