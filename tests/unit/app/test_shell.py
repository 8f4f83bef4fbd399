"""Questions to the application: data is passed as data, never as code."""

import ast
from pathlib import Path

import pytest

from ecs_appliance.app import certificates, users
from ecs_appliance.app.shell import embed, run_script, start_hint
from ecs_appliance.core.errors import ApplianceError, ExitCode, RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Result
from tests.unit.app.application import interpreter

ECHO = "def main(data):\n    return data\n"
SCRIPTS = (
    *(users.CREATE_USER, users.LIST_USERS, users.DISABLE_USER, users.DISABLE_TEST_USERS),
    *(certificates.CREATE_CERTIFICATE, certificates.LIST_CERTIFICATES, certificates.REVOKE_CERTIFICATES),
)


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
        "\u202e\u200f",
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


def test_refusal_is_told_with_the_next_step() -> None:
    refuse = "def main(data):\n    raise Refused('there is no user ' + data['name'], 'look them up')\n"
    with pytest.raises(RefusedError, match=r"^there is no user Zoë$") as caught:
        run_script(interpreter, refuse, {"name": "Zoë"})
    assert (caught.value.hint, caught.value.exit_code) == ("look them up", ExitCode.REFUSED)


def test_refusal_steers_no_terminal() -> None:
    with pytest.raises(RefusedError) as caught:
        run_script(interpreter, "def main(data):\n    raise Refused(data['name'])\n", {"name": "\x1b[2Jx\n\u202e"})
    assert caught.value.message == r"\x1b[2Jx\n\u202e"
    assert caught.value.hint == ""


def test_failure_is_told() -> None:
    with pytest.raises(ApplianceError, match="ZeroDivisionError") as caught:
        run_script(interpreter, "def main(data):\n    return 1 / 0\n", {})
    assert caught.value.exit_code == ExitCode.FAILED


def test_silence_is_told_with_its_last_lines() -> None:
    def broken(_: str) -> Result:
        return Result(("docker",), 0, "ImportError: no Django\n", "", 0.1)

    with pytest.raises(ApplianceError, match="did not answer:\nImportError: no Django"):
        run_script(broken, ECHO, {})


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_for_python_3_5(script: str) -> None:
    parsed = ast.parse(script, feature_version=(3, 5))
    assert "main" in {node.name for node in parsed.body if isinstance(node, ast.FunctionDef)}
    # feature_version does not reject these.
    assert not [node for node in ast.walk(parsed) if isinstance(node, ast.JoinedStr)]
    assert ast.parse(embed(script, {}), feature_version=(3, 5))


def test_a_site_that_a_failure_keeps_down_is_not_to_be_started_only(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert start_hint(paths) == "systemctl start appliance"
    paths.latch.parent.mkdir()
    paths.latch.touch()
    assert start_hint(paths).endswith(f"then: rm {paths.latch}; systemctl restart appliance")
