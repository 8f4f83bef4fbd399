"""The topics of alerts; topics.yml lists them with severity, text, remedy and source."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

Severity = Literal["warning", "critical"]

TABLE = Path(__file__).with_name("topics.yml")
SITE, LATCH, STANDBY, UNIT, SERVICE = "site", "latch", "standby", "unit:", "service:"
SPACE, INODES, CLOCK, REBOOT, ENVIRONMENT = "space:", "inodes:", "clock", "reboot", "environment"
BUILD, VERSION, UPDATES, NO_KEY = "build", "version", "updates", "no-ssh-key"
CHECK, STATE, BACKUP_NIGHTLY_AGE = "check:", "state:", "backup-nightly-missed"
ARCHIVE = "archive"
BACKUP_PLACE, BACKUP_AGE, UNVERIFIED = "backup-place", "backup-missed", "backup-unverified"


@dataclass(frozen=True)
class Topic:
    """A subject of alerts. A `name` that ends with a colon is a family; what follows the colon names the member.

    `severity` is the worst possible, `remedy` the next step if an alert has none, `source` the check (a module of
    ecs_appliance.checks) or the unit that reports it.
    """

    name: str
    severity: Severity
    title: str
    title_de: str
    remedy: str
    source: str


@lru_cache(maxsize=1)
def read_topics() -> dict[str, Topic]:
    """Return all topics by name, in the order of the table."""
    from ruamel.yaml import YAML  # noqa: PLC0415 # takes 0.1 s, rarely needed

    return {name: Topic(name, **known) for name, known in YAML(typ="safe").load(TABLE).items()}


def topic_of(name: str) -> Topic:
    """Return the topic that an alert about `name` belongs to; raise KeyError if it is not listed."""
    topics = read_topics()
    return topics[name] if name in topics else topics[name.partition(":")[0] + ":"]


def render_reference() -> str:
    """Return the content of docs/alerts.md, which lists all topics."""
    rows = (
        f"| `{each.name}` | {each.severity} | {each.title} | {each.title_de} | {each.remedy} | {each.source} |\n"
        for each in read_topics().values()
    )
    return f"{REFERENCE}{''.join(rows)}"


REFERENCE = """\
# What can be wrong

Written by `appliance alerts --reference`. A topic that ends with a colon has one alert for each thing of its kind.
The checks run each minute, and at `appliance status` and `appliance alerts`; units report as they run.

| topic | worst | | auf Deutsch | next step | reported by |
| --- | --- | --- | --- | --- | --- |
"""
