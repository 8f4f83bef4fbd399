"""Questions to the application about users, and the handling of its answers."""

from datetime import UTC, datetime

import pytest

from ecs_appliance.app import users
from ecs_appliance.app.arguments import ArgumentError
from tests.unit.app.application import Application

PERSON = {
    "email": "o'brien@example.org",
    "first_name": "Seán",
    "last_name": "O'Brien",
    "internal": True,
    "test": False,
    "active": True,
    "last_login": "2026-01-02T03:04:05+00:00",
    "certificates": 2,
}


def test_user_gets_a_strong_password() -> None:
    application = Application({"email": "o'brien@example.org", "before": None})
    words = ("o'brien@example.org", "Seán", "O'Brien", "M")
    passwords = {users.create_internal_user(application, *words).password for _ in range(20)}
    assert len(passwords) == 20
    assert all(len(password) == 17 and not set(password) & set("l1o0") for password in passwords)
    assert application.asked


@pytest.mark.parametrize(
    "words",
    [("nobody", "A", "B", "f"), ("a@x.org", "", "B", "f"), ("a@x.org", "A", "\n", "f"), ("a@x.org", "A", "B", "")],
)
def test_nonsense_is_not_asked_for(words: tuple[str, str, str, str]) -> None:
    application = Application({})
    with pytest.raises(ArgumentError):
        users.create_internal_user(application, *words)
    with pytest.raises(ArgumentError):
        users.disable_user(application, "nobody")
    assert application.asked == ""


def test_internal_users_come_first_and_test_users_last() -> None:
    told = [
        {**PERSON, "email": "z@x.org", "internal": False},
        {**PERSON, "email": "office1@x.org", "test": True},
        {**PERSON, "email": "Z@x.org"},
        {**PERSON, "email": "b@x.org", "last_login": None},
    ]
    found = users.list_users(Application({"users": told}))
    assert [user.email for user in found] == ["b@x.org", "Z@x.org", "z@x.org", "office1@x.org"]
    assert [user.last_login for user in found[:2]] == [None, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)]


def test_who_is_disabled_has_certificates_left() -> None:
    answer = {"email": "A@x.org", "was_active": True, "sessions": 2, "certificates": ["one", "two"]}
    assert users.disable_user(Application(answer), "a@x.org") == users.Disabled("A@x.org", True, 2, ("one", "two"))


def test_count_of_test_users() -> None:
    assert users.disable_test_users(Application({"count": 48})) == 48
