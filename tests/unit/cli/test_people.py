"""The commands for users and certificates, with prepared answers instead of the application."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ecs_appliance.app.arguments import ArgumentError
from ecs_appliance.cli import cert, user
from ecs_appliance.core.errors import ApplianceError, RefusedError
from tests.unit.app.application import Application

CLI = CliRunner()
APP = typer.Typer()
APP.add_typer(user.app, name="user")
APP.add_typer(cert.app, name="cert")
COMMANDS = Path(__file__).parents[3] / "commands"


@pytest.mark.parametrize(
    "words",
    [
        ["user", "create", "nobody", "A", "B", "f"],
        ["user", "create", "a@example.org", "A", "B", "x"],
        ["cert", "create", "a@example.org", "office", "4000"],
        ["cert", "create", "--sendto", "nobody", "a@example.org", "office"],
        ["user", "disable", "nobody"],
        ["cert", "list", "--user", ""],
    ],
)
def test_nonsense_is_refused_before_anything_is_asked(words: list[str]) -> None:
    assert isinstance(CLI.invoke(APP, words).exception, ArgumentError)


def test_certificate_does_not_overwrite_a_file(tmp_path: Path) -> None:
    (tmp_path / "office.p12").write_text("precious")
    words = ["cert", "create", "a@example.org", "office", "7", "--output", str(tmp_path / "office.p12")]
    assert isinstance(CLI.invoke(APP, words).exception, RefusedError)
    assert (tmp_path / "office.p12").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("create-internal-user.sh", "user create"),
        ("create-client-cert.sh", "cert create"),
        ("create-client-certificate.sh", "cert create"),
    ],
)
def test_old_names_lead_to_the_command(name: str, command: str) -> None:
    script = COMMANDS / name
    assert script.stat().st_mode & 0o111
    assert script.read_text().endswith(f'\nexec /usr/local/bin/appliance {command} "$@"\n')


Answering = Callable[[Mapping[str, Any]], Application]
BRIEN = {"email": "o'brien@example.org", "first_name": "Seán", "last_name": "O'Brien", "internal": True, "test": False}
BRIEN |= {"active": True, "last_login": "2026-01-02T03:04:05+00:00", "certificates": 2}
EVIL = {**BRIEN, "email": "evil@example.org", "first_name": "\x1b[2J[red]", "last_name": "\u202e", "internal": False}
EVIL |= {"active": False, "last_login": None, "certificates": 0}
TRAINEE = {**EVIL, "email": "office1@example.org", "test": True}
VALID = {"name": "Büro 1", "user": "o'brien@example.org", "serial": 10, "revoked": None}
VALID |= {"created": "2026-01-01T00:00:00+00:00", "expires": "2999-01-08T00:00:00+00:00"}
EXPIRED = {**VALID, "name": "Büro 0", "expires": "2026-01-08T00:00:00+00:00"}
REVOKED = {**VALID, "name": "Büro 2", "revoked": "2026-01-02T00:00:00+00:00"}


@pytest.fixture(autouse=True)
def winter_in_vienna(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set a time zone: times are shown by the machine's clock."""
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Return a function that makes the application give an answer to the commands."""

    def answer(told: Mapping[str, Any]) -> Application:
        application = Application(told)
        monkeypatch.setattr("ecs_appliance.app.shell.in_web", lambda _: application)
        return application

    return answer


def told(*words: str) -> list[str]:
    """Return the lines that a command prints."""
    done = CLI.invoke(APP, list(words), catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout.splitlines()


def test_users_are_a_table_that_steers_no_terminal(answering: Answering) -> None:
    answering({"users": [TRAINEE, EVIL, BRIEN]})
    assert told("user", "list") == [
        "address              name                 kind      state     last login        certificates",
        "o'brien@example.org  Seán O'Brien         internal  active    2026-01-02 04:04  2",
        r"evil@example.org     \x1b[2J[red] \u202e  external  disabled  never             none",
        "2 users; 1 test user not shown: --all",
    ]


def test_nobody_is_told_to_disable_whom_they_want_to_enable() -> None:
    error = CLI.invoke(APP, ["user", "enable", "a@example.org"]).exception
    assert isinstance(error, RefusedError)
    assert "appliance user create a@example.org FIRST LAST f|m --reset" in error.hint


def test_test_users_are_shown_when_asked_for(answering: Answering) -> None:
    answering({"users": [TRAINEE, BRIEN]})
    assert "office1@example.org" in told("user", "list", "--all")[2]
    assert told("user", "list", "--all")[-1] == "2 users"


REVOKE = ["cert", "revoke", "Büro 1"]


@pytest.mark.parametrize("words", [REVOKE, [*REVOKE, "--json"], ["user", "disable", "a@x.org", "--revoke-certs"]])
def test_what_cannot_be_undone_is_confirmed(words: list[str], answering: Answering) -> None:
    asked = answering({})
    error = CLI.invoke(APP, words).exception
    assert isinstance(error, RefusedError)
    assert error.hint == "confirm with --yes"
    assert asked.asked == ""


def test_a_certificate_is_shown_before_it_is_revoked(answering: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    answering({"certificates": [VALID, EXPIRED]})
    monkeypatch.setattr("ecs_appliance.cli.confirm.can_ask", lambda: True)
    done = CLI.invoke(APP, REVOKE, input="n\n")
    assert isinstance(done.exception, RefusedError)
    assert "Büro 1  o'brien@example.org" in done.stdout
    assert "Büro 0" not in done.stdout
    assert "cannot be undone. Continue? [y/N]" in " ".join(done.stderr.split())


def test_users_for_programs(answering: Answering) -> None:
    answering({"users": [TRAINEE, BRIEN]})
    (line,) = told("user", "list", "--json")
    assert json.loads(line) == {"ok": True, "users": [BRIEN], "not_shown": 1}


def test_a_site_without_anybody(answering: Answering) -> None:
    answering({"users": []})
    assert told("user", "list") == ["0 users"]
    answering({"certificates": []})
    assert told("cert", "list") == ["0 certificates"]


def test_certificates_that_are_not_valid_are_counted(answering: Answering) -> None:
    answering({"certificates": [EXPIRED, VALID, REVOKED, {**REVOKED, "name": "Büro 3"}]})
    assert told("cert", "list", "--user", "o'brien@example.org") == [
        "name    user                 serial  created           expires           state",
        "Büro 1  o'brien@example.org  0A      2026-01-01 01:00  2999-01-08 01:00  valid",
        "1 certificate; 1 expired, 2 revoked not shown: --all",
    ]
    assert told("cert", "list", "--all")[3].endswith("2999-01-08 01:00  revoked 2026-01-02 01:00")


def test_certificates_for_programs(answering: Answering) -> None:
    answering({"certificates": [VALID, REVOKED]})
    (line,) = told("cert", "list", "--json")
    read = json.loads(line)
    assert read["certificates"] == [{**VALID, "serial": "0A", "state": "valid"}]
    assert read["not_shown"] == {"revoked": 1}


def test_a_new_user_and_one_who_was_there_are_told_apart(answering: Answering) -> None:
    words = ("user", "create", "A@x.org", "A", "B", "f", "--reset")
    answering({"email": "A@x.org", "before": None})
    assert [line.split()[0] for line in told(*words)] == ["user", "password"]
    answering({"email": "a@x.org", "before": "First Last"})
    assert told(*words)[:2] == ["user         a@x.org", "reset        existed already, as First Last"]
    (line,) = told(*words, "--json")
    assert (json.loads(line)["user"], json.loads(line)["created"]) == ("a@x.org", False)


def test_who_is_disabled_has_certificates_to_revoke(answering: Answering) -> None:
    disabled = {"email": "A@x.org", "was_active": True, "sessions": 2, "certificates": ["Büro 1", "O'B"]}
    answering(disabled)
    assert told("user", "disable", "a@x.org") == [
        "disabled     A@x.org",
        "sessions     2 ended",
        "certificates 2 still valid",
        "  → appliance cert revoke 'Büro 1'",
        "  → appliance cert revoke 'O'\"'\"'B'",
    ]
    (line,) = told("user", "disable", "a@x.org", "--json")
    assert json.loads(line) == {"ok": True, **disabled, "certificates_revoked": False}


def test_who_was_disabled_before_is_no_error(answering: Answering) -> None:
    answering({"email": "A@x.org", "was_active": False, "sessions": 0, "certificates": []})
    assert told("user", "disable", "a@x.org", "--revoke-certs", "--yes") == [
        "disabled     A@x.org, was already disabled",
        "sessions     none was running",
        "certificates none is valid",
    ]


def test_certificate_that_cannot_be_written_is_told_with_the_next_step(answering: Answering, tmp_path: Path) -> None:
    answering({"passphrase": "geheim-geheim", "pkcs12": "AAEC"})
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "office.p12"
    done = CLI.invoke(APP, ["cert", "create", "a@example.org", "office 1", "7", "--output", str(target)])
    assert isinstance(done.exception, ApplianceError)
    assert str(target) in done.exception.message
    assert done.exception.hint.startswith("appliance cert revoke 'office 1', then")
    assert "geheim" not in done.stdout


def test_certificate_is_for_its_owner_alone(answering: Answering, tmp_path: Path) -> None:
    answering({"passphrase": "geheim-geheim", "pkcs12": "AAEC"})
    target = tmp_path / "office.p12"
    lines = told("cert", "create", "a@example.org", "office", "--output", str(target))
    assert lines == [
        "user         a@example.org",
        "certificate  office",
        f"written to   {target}",
        "passphrase   geheim-geheim",
    ]
    assert target.read_bytes() == b"\x00\x01\x02"
    assert target.stat().st_mode & 0o777 == 0o600
