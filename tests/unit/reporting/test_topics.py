"""The list of topics is complete, and the documentation matches it."""

import re
from pathlib import Path
from typing import get_args

import pytest

from ecs_appliance.checks.run import CHECKS
from ecs_appliance.reporting import topics
from ecs_appliance.reporting.topics import Severity, read_topics, render_reference, topic_of

CHECKOUT = Path(__file__).parents[3]
UNITS = CHECKOUT / "salt/states/appliance/files/units"


def test_the_reference_is_current() -> None:
    assert (CHECKOUT / "docs/alerts.md").read_text() == render_reference(), (
        "appliance alerts --reference > docs/alerts.md"
    )


def test_every_topic_says_all_in_both_languages() -> None:
    for topic in read_topics().values():
        assert topic.severity in get_args(Severity)
        assert topic.title and topic.title_de and topic.remedy
        assert topic.title != topic.title_de
        assert "|" not in topic.title + topic.title_de + topic.remedy


def test_every_topic_has_a_check_or_a_unit_that_reports_it() -> None:
    known = {*CHECKS, "all checks", *(file.stem for file in UNITS.glob("*.service"))}
    assert {topic.source for topic in read_topics().values()} <= known


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_says_which_of_the_topics_are_its(name: str) -> None:
    check = CHECKS[name]
    listed = read_topics()
    assert check.TOPICS
    assert {listed[topic].source for topic in check.TOPICS} == {name}
    assert check.__doc__


def test_every_name_in_the_code_is_listed() -> None:
    constants = [value for name, value in vars(topics).items() if name.isupper() and isinstance(value, str)]
    names = {value for value in constants if re.fullmatch(r"[a-z-]+:?", value)}
    assert names and names <= read_topics().keys()


def test_a_topic_of_a_family_is_known_by_it() -> None:
    assert topic_of("unit:nginx.service").name == "unit:"
    assert topic_of("client-ca:list").name == "client-ca:"
    assert topic_of("client-ca").name == "client-ca"
    with pytest.raises(KeyError):
        topic_of("nothing of ours")
