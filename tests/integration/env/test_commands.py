"""The commands that operators and their scripts run."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_appliance.core.runner import Result, SystemRunner
from ecs_appliance.env.edit import set_values
from ecs_appliance.env.flatten import Style, flatten
from ecs_appliance.env.tree import parse

CHECKOUT = Path(__file__).parents[3]
COMMANDS = CHECKOUT / "commands"
FIXTURES = CHECKOUT / "tests/fixtures/env"
EVERYTHING = FIXTURES / "accepted/everything.yml"


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """Make the installed commands use the command line of this checkout."""
    command = tmp_path / "appliance"
    source = CHECKOUT / "src"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{source}" exec "{sys.executable}" -m ecs_appliance "$@"\n')
    command.chmod(0o755)
    return {"APPLIANCE_COMMAND": str(command)}


def run(environ: Mapping[str, str], *command: str | Path, data: str | bytes = "") -> Result:
    program, *options = command
    words = [environ["APPLIANCE_COMMAND"] if program == "appliance" else program, *options]
    return SystemRunner().run(words, env=environ, input=data, timeout=60, ok=range(256))


# Control characters are not allowed in env.yml, and these two are line ends only in YAML.
TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029", include_characters="\n\t"),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_a_shell_gets_the_exact_text(texts: list[str]) -> None:
    """Everything YAML can contain: quotes, line feeds, dollars, backslashes, umlauts."""
    tree = parse(set_values("ecs:\n", {"ecs.texts": texts}))
    lines = "\n".join(flatten(tree, "ecs", Style(prefix="export ")))
    last = "$((ECS_TEXTS_LEN - 1))"
    script = f"{lines}\nfor i in $(seq 0 {last}); do eval printf '%s\\\\0' '\"$ECS_TEXTS_'$i'\"'; done\n"
    got = SystemRunner().run(["sh"], input=script, timeout=30).stdout.split("\0")[:-1]
    assert got == [text.strip() for text in texts]


def test_check_tells_the_report_and_fails(environ: Mapping[str, str]) -> None:
    file = FIXTURES / "broken/many-at-once.yml"
    result = SystemRunner().run(
        [environ["APPLIANCE_COMMAND"], "env", "check", file.name], cwd=file.parent, timeout=60, ok=(3,)
    )
    assert result.stdout == file.with_suffix(".report").read_text()
    listed = json.loads(run(environ, "appliance", "env", "check", "--json", file).stdout)
    assert len(listed) == len(result.lines()) - 1
    assert set(listed[0]) == {"line", "column", "path", "severity", "message"}


def test_check_reads_standard_input_and_strict_fails_for_warnings(environ: Mapping[str, str]) -> None:
    data = (FIXTURES / "accepted/unknown-keys.yml").read_bytes()
    assert run(environ, "appliance", "env", "check", "-", data=data).returncode == 0
    assert run(environ, "appliance", "env", "check", "--strict", "-", data=data).returncode == 3


def test_a_file_that_is_not_there_is_a_calm_error(environ: Mapping[str, str]) -> None:
    result = run(environ, "appliance", "env", "check", "/nowhere/env.yml")
    assert (result.returncode, result.stdout, result.stderr) == (
        1,
        "",
        "cannot read /nowhere/env.yml: No such file or directory\n",
    )


def test_show_prints_no_secret(environ: Mapping[str, str]) -> None:
    plain, listed = (run(environ, "appliance", "env", "show", *extra, EVERYTHING) for extra in ([], ["--json"]))
    assert ["appliance.domain", "ecs.example.org"] in [line.split() for line in plain.lines()]
    assert json.loads(listed.stdout)["ecs.vault_sign"] == "*****"
    for result in (plain, listed):
        assert "PRIVATE KEY" not in result.stdout and "correct-horse" not in result.stdout


def test_create_is_known_by_its_old_name(environ: Mapping[str, str], tmp_path: Path) -> None:
    extra = tmp_path / "extra.yml"
    extra.write_text("appliance: {metric: {gui: true}}\n")
    result = run(environ, COMMANDS / "env-create.sh", "--extra", extra, "ecs.example.org", f"{tmp_path}/new/")
    assert result.lines()[0] == f"created: {tmp_path}/new/env.yml"
    again = run(environ, COMMANDS / "env-create.sh", "ecs.example.org", f"{tmp_path}/new/")
    assert again.returncode == 4
    assert run(environ, "appliance", "env", "check", tmp_path / "new/env.yml").returncode == 0
    assert run(environ, "appliance", "env", "check", "--strict", tmp_path / "new/env.yml").returncode == 3


def test_flatyaml_reads_a_file_or_standard_input(environ: Mapping[str, str]) -> None:
    data = b"a: {b: [yes]}\n"
    flatyaml = COMMANDS / "flatyaml.py"
    assert run(environ, flatyaml, ".", data=data).stdout == "A_B_0=true\nA_B_LEN=1\n"
    options = ("--prefix", "<", "--postfix", ">", "--assign", ": ", "--combine", ".")
    assert run(environ, flatyaml, *options, "a,c", data=data).stdout == "<A.B.0: true>\n<A.B.LEN: 1>\n"
    missing = run(environ, flatyaml, "c", data=data)
    assert (missing.returncode, missing.stdout, missing.stderr) == (0, "", 'Error: key "c" not found in data\n')
    assert "APPLIANCE_UPDATE_AUTOMATIC=false" in run(environ, flatyaml, "--file", EVERYTHING, "appliance").lines()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_environment_comes_into_a_shell(environ: Mapping[str, str], shell: str) -> None:
    script = (
        f". {COMMANDS}/env.include; ENV_YML={EVERYTHING} userdata_to_env ecs,appliance; "
        'printf \'%s|%s|%s\' "$APPLIANCE_DOMAIN" "$ECS_MIGRATE_AUTO" "$APPLIANCE_EXTRA_FILES_0_CONTENTS"; env'
    )
    output = run(environ, shell, "-c", script).stdout
    assert output.startswith("ecs.example.org|false|Grüß Gott")
    assert "ECS_VAULT_SIGN=-----BEGIN PGP PRIVATE KEY BLOCK-----" in output


def test_a_broken_file_exports_nothing(environ: Mapping[str, str]) -> None:
    script = f". {COMMANDS}/env.include; ENV_YML={FIXTURES}/broken/tag.yml userdata_to_env ecs,appliance; echo $?; env"
    result = run(environ, "sh", "-c", script)
    assert result.lines()[0] == "1"
    assert "APPLIANCE_STANDBY" not in result.stdout
    assert "tags are not supported" in result.stderr


def test_the_reference_is_printed(environ: Mapping[str, str]) -> None:
    assert run(environ, "appliance", "env", "reference").stdout == (CHECKOUT / "docs/env-reference.md").read_text()
    schema = run(environ, "appliance", "env", "reference", "--schema").stdout
    assert schema == (CHECKOUT / "docs/env.schema.json").read_text()
