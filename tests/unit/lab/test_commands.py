"""The command line with and without the laboratory's commands."""

import re
from typing import cast

import pytest
import typer
from typer.core import TyperGroup

from ecs_appliance.cli import main, tree
from lab.cli import add_commands

COMMANDS = {"demo", "test"}
WIDTH = 80


def names(app: typer.Typer) -> set[str | None]:
    commands = {command.name for command in app.registered_commands}
    return commands | {group.name for group in app.registered_groups if isinstance(group.name, str)}


def with_commands() -> tree.Tree:
    app = tree.Tree()
    add_commands(app)
    return app


ADDED = list(tree.walk(cast("TyperGroup", typer.main.get_command(with_commands()))))[1:]


def test_the_product_has_none_of_its_commands() -> None:
    assert not COMMANDS & names(main.app)


def test_it_adds_two_commands() -> None:
    assert names(with_commands()) == COMMANDS


@pytest.mark.parametrize(("path", "command"), ADDED, ids=[" ".join(path) for path, _ in ADDED])
def test_the_help_is_like_that_of_the_product(path: tuple[str, ...], command: tree.AnyCommand) -> None:
    text = command.get_help(typer.Context(command, info_name=" ".join(path), max_content_width=WIDTH))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert re.search(r"<[a-z]|[{}…]", text) is None
    assert re.search(r"^Examples?:\n  appliance ", text, re.MULTILINE)
    assert [part for part in tree.paragraphs(command) if not re.match(r"[A-Z].*\.$", part)] == []
    for parameter in command.params:
        assert re.match(r"[A-Z].*\.$", getattr(parameter, "help", None) or ""), parameter.name
    if isinstance(command, TyperGroup):
        for name, child in tree.visible(command):
            assert re.search(rf"^  {name} +{re.escape(tree.summary(child))}$", text, re.MULTILINE), name
