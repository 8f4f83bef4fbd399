"""The command line: a tree of commands, one error report, one exit."""

import logging
import os
import sys
from typing import Annotated

import typer

from ecs_appliance import __version__
from ecs_appliance.cli import alerts, backup, cert, env, machine, network, paper, rewind, stage, user
from ecs_appliance.core.errors import ApplianceError, UnexpectedError, as_failure
from ecs_appliance.core.log import masked, set_up_logging

log = logging.getLogger("ecs_appliance.cli")
# As a shell has it for a process that SIGPIPE ended.
EPIPE_CODE = 141

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
app.command("status")(alerts.status)
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
    except BrokenPipeError:
        # Whoever reads along has seen enough; what Python flushes at its end must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EPIPE_CODE)
    except Exception as error:  # the last boundary: nothing is printed past the mask
        failure = as_failure(error)
        if isinstance(failure, UnexpectedError):
            log.error("unexpected", exc_info=error)
        report(failure)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def report(error: ApplianceError) -> None:
    """Tell the operator what is wrong and what to do next."""
    log.error("%s", masked(error.message))
    if error.hint:
        log.error("  → %s", masked(error.hint))
