"""The grammar of systemd's calendar events; tests/integration/env compares it with systemd itself."""

import pytest

from ecs_appliance.env.oncalendar import oncalendar


@pytest.mark.parametrize(
    "text",
    [
        "*-*-* 06:30:00",
        "daily",
        "Mon..Fri 04:00",
        "Sat,Sun 08:05:40 Europe/Vienna",
        "*-*~03",
        "*:0/15",
        "2030-01-01 UTC",
    ],
)
def test_a_calendar_is_accepted(text: str) -> None:
    assert oncalendar(text) == text


@pytest.mark.parametrize(
    "text", ["", "every day", "25:00", "*-13-01", "Mon..Fry", "06:30:00; reboot", "*-*-* 6h", "Fri..Mon"]
)
def test_what_is_no_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a systemd calendar"):
        oncalendar(text)
