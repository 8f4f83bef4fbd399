"""Manual pages and completion, as read by `man` and the shells."""

import sys
from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner

CHECKOUT = Path(__file__).parents[3]
SHARE = CHECKOUT / "salt/states/appliance/files/share"
PAGES = sorted((SHARE / "man/man8").iterdir())
BASH = SHARE / "bash-completion/completions/appliance"
RUNNER = SystemRunner()
# The command `appliance` for the shells: it runs the code of this checkout.
COMMAND = f'#!/bin/sh\nPYTHONPATH={CHECKOUT}/src exec {sys.executable} -m ecs_appliance "$@"\n'
# Completes the line $1 as readline does, with the cursor at the end of the last word.
COMPLETE = """
. "$0"
read -ra COMP_WORDS <<<"$1"
case $1 in *" ") COMP_WORDS+=("") ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_appliance appliance
[ "${#COMPREPLY[@]}" = 0 ] || printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return variables with which a shell finds `appliance`."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "appliance").write_text(COMMAND)
    (folder / "appliance").chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def complete(line: str, path: dict[str, str]) -> list[str]:
    return RUNNER.run(["bash", "-c", COMPLETE, BASH, line], timeout=60, env=path).stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("appliance b", ["backup"]),
        ("appliance backup res", ["restore-document"]),
        ("appliance backup fetch --sn", ["--snapshot"]),
        ("appliance recover --y", ["--yes"]),
        ("appliance user create a@example.org A B ", ["f", "m"]),
        ("appliance env rotate env.yml appliance.d", ["appliance.dkim.key"]),
        # Without a match, the shell completes file names.
        ("appliance env check ", []),
    ],
)
def test_bash_completes(line: str, found: list[str], path: dict[str, str]) -> None:
    assert complete(line, path) == found


def test_bash_offers_every_command_that_is_not_hidden(path: dict[str, str]) -> None:
    found = set(complete("appliance ", path))
    assert {"status", "backup", "env", "install"} <= found
    assert not found & {"stage", "manual"}


def test_bash_loads_it_by_its_name(path: dict[str, str]) -> None:
    said = RUNNER.run(["bash", "-c", 'set -eu; . "$0"; complete -p appliance', BASH], timeout=60, env=path)
    assert said.stdout == "complete -o default -F _appliance appliance\n"


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        ("bash", BASH),
        ("zsh", SHARE / "zsh/site-functions/_appliance"),
        ("fish", next((SHARE / "fish").rglob("*.fish"))),
    ],
)
def test_scripts_are_well_formed(shell: str, script: Path) -> None:
    RUNNER.run([shell, "-n", script], timeout=60)


def test_man_has_no_complaint() -> None:
    said = RUNNER.run(["man", "--warnings", "--local-file", *PAGES], timeout=60, env={"MANWIDTH": "80"})
    assert said.stderr == ""
    assert [page.stem for page in PAGES if f"{page.stem} - " not in " ".join(said.stdout.split())] == []
