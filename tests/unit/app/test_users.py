"""What is asked of the application, and how: data as data."""

import ast
import contextlib
import io
from collections.abc import Mapping
from typing import Any

import pytest

from ecs_appliance.app import users
from ecs_appliance.app.shell import embed, run_script
from ecs_appliance.app.users import ArgumentError
from ecs_appliance.core.errors import ApplianceError, ExitCode
from ecs_appliance.core.runner import Result

ECHO = "def main(data):\n    return data\n"


def interpreter(text: str) -> Result:
    """Runs what is sent as a Python of the application would, with the noise that comes along there."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(text, {})  # noqa: S102 # that is what the other end does
    return Result(("docker",), 0, f"activate environment\n>>> {output.getvalue()}>>> \n", "", 0.1)


@pytest.mark.parametrize(
    "value",
    [
        "O'Brien",
        'the "quoted" \\ back',
        "Größe ß 漢字 \U0001f600",
        "two\nlines\r\n\ttab",
        "'''); import os; os.abort() #",
        "%s %(data)s {} {0} $HOME `id` $(id)",
        "@@appliance:e30=@@",
        "\x00\x1b[31m",
        "",
    ],
)
def test_data_arrive_as_they_are(value: str) -> None:
    assert run_script(interpreter, ECHO, {"value": value, "list": [1, None, value]}) == {
        "value": value,
        "list": [1, None, value],
    }


def test_what_is_sent_is_one_line_without_the_data() -> None:
    line = embed(ECHO, {"password": "geheim-geheim"})
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert line.isascii()
    assert "geheim" not in line


def test_refusal_and_failure_are_told() -> None:
    with pytest.raises(ApplianceError, match=r"^there is no user$"):
        run_script(interpreter, "def main(data):\n    raise Refused('there is no user')\n", {})
    with pytest.raises(ApplianceError, match="ZeroDivisionError"):
        run_script(interpreter, "def main(data):\n    return 1 / 0\n", {})


def test_silence_is_told_with_its_last_lines() -> None:
    def broken(_: str) -> Result:
        return Result(("docker",), 0, "ImportError: no Django\n", "", 0.1)

    with pytest.raises(ApplianceError, match="did not answer:\nImportError: no Django"):
        run_script(broken, ECHO, {})


@pytest.mark.parametrize("script", [users.CREATE_USER, users.CREATE_CERTIFICATE, users.DISABLE_TEST_USERS])
def test_scripts_are_for_python_3_5(script: str) -> None:
    defined = {
        node.name for node in ast.parse(script, feature_version=(3, 5)).body if isinstance(node, ast.FunctionDef)
    }
    assert defined == {"main"}
    sent = embed(script, {})
    assert ast.parse(sent, feature_version=(3, 5))


class Application:
    """Answers as the application does, and keeps what it was asked."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        self.asked = ""

    def __call__(self, text: str) -> Result:
        self.asked = text
        return interpreter(embed(f"def main(data):\n    return {dict(self.answer)!r}\n", {}))


def test_user_gets_a_strong_password() -> None:
    application = Application({"created": True})
    passwords = {
        users.create_internal_user(application, "o'brien@example.org", "Seán", "O'Brien", "M") for _ in range(20)
    }
    assert len(passwords) == 20
    assert all(len(password) == 17 and not set(password) & set("l1o0") for password in passwords)
    assert application.asked


def test_certificate_comes_with_its_passphrase() -> None:
    application = Application({"passphrase": "abcdef", "pkcs12": "AAEC"})
    made = users.create_client_certificate(application, "a@example.org", "Büro 1", 60)
    assert (made.pkcs12, made.passphrase) == (b"\x00\x01\x02", "abcdef")
    assert "abcdef" not in repr(made)


def test_count_of_test_users() -> None:
    assert users.disable_test_users(Application({"count": 48})) == 48


BAD_ADDRESSES = (
    *("", "nobody", "a@b", "a b@example.org", "a@example.org\n", "a@-x.org", "a@x..org", '"a"@x.org'),
    f"{'a' * 65}@x.org",
)
BAD_NAMES = (
    *(("", "B", "f"), ("A", " ", "f"), ("A\nB", "C", "f"), ("A" * 65, "B", "f")),
    *(("A", "B", "x"), ("A", "B", "")),
)
BAD_CERTIFICATES = (
    *("", " x", "a/b", "a\\b", "O=evil", "a\nb", ".hidden", 'q"q', "a+b"),
    *("x" * 65, "ä" * 33),
)


@pytest.mark.parametrize("email", BAD_ADDRESSES)
def test_bad_addresses_are_refused(email: str) -> None:
    application = Application({})
    with pytest.raises(ArgumentError, match="mail address") as caught:
        users.create_internal_user(application, email, "A", "B", "f")
    assert caught.value.exit_code == ExitCode.USAGE
    assert application.asked == ""


@pytest.mark.parametrize(("first", "last", "gender"), BAD_NAMES)
def test_bad_names_and_genders_are_refused(first: str, last: str, gender: str) -> None:
    with pytest.raises(ArgumentError):
        users.create_internal_user(Application({}), "a@example.org", first, last, gender)


@pytest.mark.parametrize("name", BAD_CERTIFICATES)
def test_bad_certificate_names_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError):
        users.create_client_certificate(Application({}), "a@example.org", name, 7)


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_bad_lifetimes_are_refused(days: int) -> None:
    with pytest.raises(ArgumentError, match=f"cannot be valid for {days} days"):
        users.create_client_certificate(Application({}), "a@example.org", "office", days)
