"""Every command of the tree: its help at 80 columns, its examples, its manual page."""

import re
import shlex
from pathlib import Path
from typing import cast

import pytest
import typer
from typer.core import TyperGroup

from ecs_appliance.cli import tree
from ecs_appliance.cli.completion import SCRIPTS
from ecs_appliance.cli.main import app
from ecs_appliance.cli.manual import EXIT_STATUS, FOLDER, escape, page_name, render_files, render_page
from ecs_appliance.core.errors import ExitCode
from tests.unit.test_language import PATTERN

ROOT = cast("TyperGroup", typer.main.get_command(app))
SHARE = Path(__file__).parents[3] / "salt/states/appliance/files/share"
WIDTH = 80
PLACEHOLDER = re.compile(r"\{[a-z]|<[a-z]|\[\[|%[YmdH]|…|\.\.\.$")
# Project jargon and calques, which operators need not know; some of them are right elsewhere.
PRIVATE = re.compile(rf"{PATTERN.pattern}|\b(hear|looks? at|as it was|fare)\b", re.IGNORECASE)


def all_commands(command: tree.AnyCommand, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], tree.AnyCommand]]:
    """Return `command` and all commands below it, including hidden ones."""
    found = [(path, command)]
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            found += all_commands(child, (*path, name))  # type: ignore[arg-type]
    return found


COMMANDS = all_commands(ROOT, ("appliance",))
every_command = pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])


def get_help(path: tuple[str, ...], command: tree.AnyCommand) -> str:
    context = typer.Context(command, info_name=" ".join(path), terminal_width=WIDTH, max_content_width=WIDTH)
    return command.get_help(context)


@every_command
def test_help_fits_has_an_example_and_no_word_of_python(path: tuple[str, ...], command: tree.AnyCommand) -> None:
    text = get_help(path, command)
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert [line for line in lines if PLACEHOLDER.search(line) and not line.startswith("Usage:")] == []
    assert PRIVATE.search(text) is None, PRIVATE.search(text)
    assert re.search(r"^Examples?:\n  \S", text, re.MULTILINE)
    usage = text[: text.index("\n\n")]
    assert re.search(r"[{}<>…]", usage) is None


@every_command
def test_help_is_whole_sentences(path: tuple[str, ...], command: tree.AnyCommand) -> None:
    for paragraph in tree.paragraphs(command):
        assert paragraph[0].isupper()
        assert paragraph.endswith(".")
    if isinstance(command, TyperGroup):
        text = get_help(path, command)
        for name, child in tree.visible(command):
            assert re.search(rf"^  {name} +{re.escape(tree.summary(child))}$", text, re.MULTILINE), name


@every_command
def test_every_parameter_is_explained(path: tuple[str, ...], command: tree.AnyCommand) -> None:
    for parameter in command.params:
        explanation = getattr(parameter, "help", None) or ""
        assert re.match(r"[A-Z-].*\.$", explanation), (parameter.name, explanation)
        if not getattr(parameter, "is_flag", False):
            assert parameter.metavar, parameter.name


@every_command
def test_the_examples_are_commands_that_exist(path: tuple[str, ...], command: tree.AnyCommand) -> None:
    for line in tree.examples(command):
        words = shlex.split(line)
        if words[0] != "appliance":
            continue
        node: tree.AnyCommand = ROOT
        rest = words[1:]
        while isinstance(node, TyperGroup):
            node = node.commands[rest.pop(0)]  # type: ignore[assignment]
        if "--help" not in rest:
            node.make_context("example", rest)


@every_command
def test_a_manual_page_has_what_the_help_has(path: tuple[str, ...], command: tree.AnyCommand) -> None:
    page = render_page(path, command)
    sections = re.findall(r"^\.SH (.*)$", page, re.MULTILINE)
    assert sections[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert sections[-2:] == ["EXAMPLES", "SEE ALSO"] or len(path) == 1
    context = typer.Context(command, info_name=" ".join(path))
    for rows in tree.records(command, context):
        for term, _ in rows:
            assert f".TP\n.B {escape(term)}\n" in page
    for line in tree.examples(command):
        assert escape(line) in page
    # roff reads a line that starts with a dot or a quote as a request.
    assert [line for line in page.splitlines() if line.startswith("'") or not line] == []


def test_nothing_is_cut_off_however_long_it_is() -> None:
    group = tree.Tree(no_args_is_help=True)

    @group.command("a")
    def a() -> None:
        """Say one sentence that goes on and on until it is far longer than any list of commands has columns for it."""

    @group.command("b")
    def b() -> None:
        """Say another one. And a second."""

    text = get_help(("x",), typer.main.get_group(group))
    assert "columns for it." in " ".join(text.split())
    assert "And a second" not in text


def test_the_installed_pages_and_scripts_are_those_of_the_commands() -> None:
    """If this fails, run: ./appliance manual salt/states/appliance/files/share"""
    wanted = render_files(ROOT)
    found = {str(file.relative_to(SHARE)): file.read_text() for file in SHARE.rglob("*") if file.is_file()}
    assert sorted(found) == sorted(wanted)
    assert [name for name, text in wanted.items() if found[name] != text] == []


def test_pages_are_named_by_what_is_typed() -> None:
    assert page_name(("appliance", "backup", "run")) == "appliance-backup-run"
    files = render_files(ROOT)
    assert {f"{FOLDER}/appliance-backup-run.8", *SCRIPTS} < set(files)
    assert not any("stage" in name for name in files)


def test_every_exit_code_is_explained() -> None:
    assert set(EXIT_STATUS) == set(ExitCode)


def test_what_roff_would_read_as_its_own_is_escaped() -> None:
    assert escape(".x") == "\\&.x"
    assert escape("a -b 'c' \\d") == "a \\-b \\(aqc\\(aq \\ed"
