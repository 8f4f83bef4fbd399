"""Untrusted text cannot control a terminal."""

import pytest

from ecs_appliance.core.text import printable


@pytest.mark.parametrize("text", ["", "O'Brien", "Größe 漢字 \U0001f600", "a  b"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jä", r"\x1b[2Jä"),
        ("a\nb\r\0", r"a\nb\r\x00"),
        ("\u202egro", r"\u202egro"),
        ("a\xa0b\u2028", r"a\xa0b\u2028"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_steers_or_hides_is_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
