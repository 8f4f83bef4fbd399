"""Validates systemd's calendar events (systemd.time(7)) without systemd, so that it works on any laptop."""

import re
import zoneinfo
from dataclasses import dataclass

SHORTHANDS = frozenset(
    ("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly", "annually")
) | frozenset(("semiannually", "semi-annually", "biannually", "bi-annually"))
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHORT_DAYS = tuple(day[:3] for day in DAYS)
WEEKDAY = "|".join([*DAYS, *SHORT_DAYS])
DAY_RANGE = rf"({WEEKDAY})((\.\.|-)({WEEKDAY}))?"
WEEKDAYS = re.compile(rf"{DAY_RANGE}(,{DAY_RANGE})*,?", re.IGNORECASE)
ITEM = re.compile(r"(?P<first>\d+(\.\d+)?)(\.\.(?P<last>\d+(\.\d+)?))?(/(?P<step>\d+(\.\d+)?))?")
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
EXPECTED = "expected a systemd calendar such as *-*-* 06:30:00 or Mon..Fri 04:00"
EPOCH = re.compile(r"@\d+")


@dataclass(frozen=True)
class Field:
    """Range of one part of a date or time; `fraction` allows decimals, `backward` counts from the end of the month."""

    lowest: int
    highest: int
    fraction: bool = False
    backward: bool = False


YEAR, MONTH, DAY, LAST_DAY = Field(1970, 2199), Field(1, 12), Field(1, 31), Field(1, 28, backward=True)
HOUR, MINUTE, SECOND = Field(0, 23), Field(0, 59), Field(0, 59, fraction=True)


def oncalendar(text: str) -> str:
    """Return `text` if systemd would accept it as OnCalendar=, else raise ValueError."""
    words = text.split()
    if not words or not text.isascii():
        raise ValueError(EXPECTED)
    if len(words) > 1 and _is_zone(words[-1]):
        words.pop()
    if not _is_event(words):
        raise ValueError(EXPECTED)
    return text


def _is_event(words: list[str]) -> bool:
    if len(words) == 1 and words[0].lower() in SHORTHANDS:
        return True
    rest = words[1:] if _is_weekdays(words[0]) else words
    match rest:
        case []:
            return True
        case [only]:
            return _is_time(only) or _is_date(only) or bool(EPOCH.fullmatch(only))
        case [date, time]:
            return _is_date(date) and _is_time(time)
    return False


def _is_weekdays(word: str) -> bool:
    if not WEEKDAYS.fullmatch(word):
        return False
    ranges = [re.split(r"\.\.|-", part.lower()) for part in word.strip(",").split(",")]
    numbers = [[SHORT_DAYS.index(day[:3]) for day in days] for days in ranges]
    return all(days == sorted(days) for days in numbers)


def _is_zone(word: str) -> bool:
    if not ZONE.fullmatch(word) or WEEKDAYS.fullmatch(word):
        return False
    known = zoneinfo.available_timezones()
    return word.upper() == "UTC" or word in known or not known


def _is_date(word: str) -> bool:
    # After a tilde, days count from the end of the month.
    before, tilde, after = word.rpartition("~")
    parts = [*before.split("-"), after] if tilde else word.split("-")
    last = LAST_DAY if tilde else DAY
    match parts:
        case [month, day]:
            return _is_list(month, MONTH) and _is_list(day, last)
        case [year, month, day]:
            return _is_list(year, YEAR) and _is_list(month, MONTH) and _is_list(day, last)
    return False


def _is_time(word: str) -> bool:
    match word.split(":"):
        case [hour, minute]:
            return _is_list(hour, HOUR) and _is_list(minute, MINUTE)
        case [hour, minute, second]:
            return _is_list(hour, HOUR) and _is_list(minute, MINUTE) and _is_list(second, SECOND)
    return False


def _is_list(text: str, field: Field) -> bool:
    return text == "*" or all(_is_item(item, field) for item in text.split(","))


def _is_item(text: str, field: Field) -> bool:
    found = ITEM.fullmatch(text)
    if not found or ("." in text.replace("..", "") and not field.fraction):
        return False
    low, high = _value(found["first"], field), _value(found["last"] or found["first"], field)
    within = field.lowest <= low <= high < field.highest + 1
    return within and (found["step"] is None or _is_step(low, float(found["step"]), field))


def _is_step(start: float, step: float, field: Field) -> bool:
    if field.backward:
        return 0 < step <= start - field.lowest
    return step > 0 and start + step < field.highest + 1


def _value(text: str, field: Field) -> float:
    """Return the number; of two-digit years, 70 to 99 are in the last century, others in this one."""
    number = float(text)
    if field is YEAR and number < 100:  # noqa: PLR2004
        return number + (1900 if number >= 70 else 2000)  # noqa: PLR2004
    return number
