"""The command line: a tree of commands, one error report, one exit."""

import logging
import sys
from typing import Annotated

import typer

from ecs_appliance import __version__
from ecs_appliance.cli import alerts, backup, cert, demo, env, machine, network, paper, rewind, stage, test, user
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.log import masked, set_up_logging

app = typer.Typer(
    name="appliance",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Install, run, update and recover an ecs appliance from one env.yml.",
)
app.command("install")(machine.install)
app.command("plan")(machine.plan)
app.command("converge")(machine.converge)
app.command("alerts")(alerts.alerts)
app.command("recover")(backup.recover)
app.command("rewind")(rewind.rewind)
env.app.command("package")(paper.package_file)
env.app.command("scan")(paper.scan_files)
env.app.command("verify-paper")(paper.verify_paper)
app.add_typer(env.app, name="env")
app.add_typer(backup.app, name="backup")
app.add_typer(network.app, name="network")
app.add_typer(user.app, name="user")
app.add_typer(cert.app, name="cert")
app.add_typer(stage.app, name="stage")
app.add_typer(demo.app, name="demo")
app.command("test", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(test.test)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every process that is started.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of every command."""
    set_up_logging(verbose=verbose)


def main() -> None:
    """Run the command line; the only place that turns errors into exit codes."""
    try:
        app(prog_name="appliance")
    except ApplianceError as error:
        report(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def report(error: ApplianceError) -> None:
    """Tell the operator what is wrong and what to do next."""
    logger = logging.getLogger("ecs_appliance.cli")
    logger.error("%s", masked(error.message))
    if error.hint:
        logger.error("  → %s", masked(error.hint))
