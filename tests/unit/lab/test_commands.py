"""The command line with and without the laboratory's commands."""

import typer
from typer.testing import CliRunner

from ecs_appliance.cli import main
from lab.cli import add_commands

COMMANDS = {"demo", "test"}


def names(app: typer.Typer) -> set[str | None]:
    commands = {command.name for command in app.registered_commands}
    return commands | {group.name for group in app.registered_groups if isinstance(group.name, str)}


def test_the_product_has_none_of_its_commands() -> None:
    assert not COMMANDS & names(main.app)


def test_it_adds_two_commands_and_their_options() -> None:
    app = typer.Typer()
    add_commands(app)
    assert names(app) == COMMANDS
    for command in COMMANDS:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
