"""Which data about users is accepted, and which is refused before the application is asked."""

import pytest

from ecs_appliance.app import arguments
from ecs_appliance.app.arguments import ArgumentError
from ecs_appliance.core.errors import ExitCode

LONG = "x" * 300
# Control characters, direction marks, a Unicode line separator, a lone surrogate, a no-break space.
UNSEEN = ("\x00", "\x1b[31m", "a\nb", "a\rb", "\t", "\x7f", "\u200f", "\u202e", "\u2066", "\u2028", "\udcff", "\xa0")

BAD_ADDRESSES = (
    *("", " ", "nobody", "a@b", "a b@example.org", "a@example.org\n", "a@-x.org", "a@x..org", '"a"@x.org', "@x.org"),
    *("a@", ".a@x.org", "a.@x.org", "a..b@x.org", "a@x.org,b@x.org", "<a@x.org>", "ü@x.org", "a@münchen.de"),
    *(f"{'a' * 65}@x.org", f"{LONG}@x.org", f"a@{LONG}.org", f"a@{'x.' * 130}org"),
    *(f"a{sign}@example.org" for sign in UNSEEN),
)
GOOD_ADDRESSES = ("o'brien@example.org", "A.B+c@Example.ORG", "root@localhost", f"{'a' * 64}@x.org", "-a@x.org")


@pytest.mark.parametrize("email", BAD_ADDRESSES)
def test_bad_addresses_are_refused(email: str) -> None:
    with pytest.raises(ArgumentError, match="mail address") as caught:
        arguments.checked_address(email)
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("email", GOOD_ADDRESSES)
def test_good_addresses_are_taken_as_they_are(email: str) -> None:
    assert arguments.checked_address(email) == email


@pytest.mark.parametrize("email", ["x@münchen.de", '"a b"@example.org', "a/b@example.org", "root@system.local"])
def test_the_application_may_know_other_addresses(email: str) -> None:
    assert arguments.checked_known_address(email) == email


@pytest.mark.parametrize("email", ["", "@", "nobody", "a@", "@b", *(f"a{sign}@b" for sign in UNSEEN)])
def test_what_is_no_address_is_not_looked_for(email: str) -> None:
    with pytest.raises(ArgumentError, match="mail address"):
        arguments.checked_known_address(email)


def test_an_address_is_not_pasted_into_a_subject() -> None:
    with pytest.raises(ArgumentError, match="slash"):
        arguments.checked_subject_address("a/CN=boss@example.org")
    assert arguments.checked_subject_address("a+b@example.org") == "a+b@example.org"


@pytest.mark.parametrize("name", ["", " ", "A\nB", "A" * 65, LONG, *UNSEEN])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="is not a valid first name") as caught:
        arguments.checked_name("first name", name)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("name", ["Seán", "O'Brien", 'Jo "Ö" \\', "-x", "$(id)", "محمد", "A" * 64])
def test_names_of_people_are_taken(name: str) -> None:
    assert arguments.checked_name("first name", f" {name} ") == name


@pytest.mark.parametrize("gender", ["", "x", "female", " f"])
def test_other_genders_are_refused(gender: str) -> None:
    with pytest.raises(ArgumentError):
        arguments.checked_gender(gender)
    assert arguments.checked_gender("F") == "f"


BAD_CERTIFICATES = (
    *("", " x", "x ", "a/b", "a\\b", "O=evil", ".hidden", "-rf", "--all", 'q"q', "a+b", "a,b", "a;b", "<a>"),
    *("x" * 65, "ä" * 33, LONG, *UNSEEN),
)


@pytest.mark.parametrize("name", BAD_CERTIFICATES)
def test_bad_certificate_names_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        arguments.checked_certificate_name(name)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("name", ["Büro 1", "O'Brien's laptop", "x" * 64, "ä" * 32, "a.b", "a-b_c (2)"])
def test_good_certificate_names_are_taken(name: str) -> None:
    assert arguments.checked_certificate_name(name) == name


def test_the_application_may_know_other_certificate_names() -> None:
    for name in ("a/b", "-x", "x\xa0y", "\u202e"):
        assert arguments.checked_known_certificate_name(name) == name
    for name in ("", "\udcff"):
        with pytest.raises(ArgumentError):
            arguments.checked_known_certificate_name(name)


@pytest.mark.parametrize("days", [0, -1, 3651, 10**9])
def test_bad_lifetimes_are_refused(days: int) -> None:
    with pytest.raises(ArgumentError, match=f"cannot be valid for {days} days"):
        arguments.checked_days(days)


def test_lifetimes_from_a_day_to_ten_years() -> None:
    assert [arguments.checked_days(days) for days in (1, 3650)] == [1, 3650]
