"""The root of the command line, and the only place that reports errors and exits."""

import logging
import os
import sys
from typing import Annotated

import typer

from ecs_appliance import __version__
from ecs_appliance.cli import (
    alerts,
    backup,
    cert,
    env,
    machine,
    manual,
    network,
    recover,
    rewind,
    stage,
    user,
)
from ecs_appliance.cli.tree import Tree
from ecs_appliance.core.errors import ApplianceError, UnexpectedError, as_failure
from ecs_appliance.core.log import masked, set_up_logging

log = logging.getLogger("ecs_appliance.cli")
# Messages of logged errors, so that no error is printed twice.
_logged: list[str] = []
# The exit code that a shell reports for a process killed by SIGPIPE.
EPIPE_CODE = 141

app = Tree(
    name="appliance",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Install, run, update and recover an ECS appliance from one env.yml.",
    example="appliance status\nappliance backup run --help",
)
app.command("install", example="appliance install --yes")(machine.install)
app.command("plan", example="appliance plan")(machine.plan)
app.command("converge", example="appliance converge")(machine.converge)
app.command("status", example="appliance status")(alerts.status)
app.command("alerts", example="appliance alerts")(alerts.alerts)
app.command("recover", example=recover.EXAMPLE)(recover.recover)
app.command("rewind", example=rewind.EXAMPLE)(rewind.rewind)
app.command("manual", hidden=True, example="appliance manual /tmp/manual")(manual.write_manual)
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
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log each process that is started.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Apply the options that all commands have in common."""
    set_up_logging(verbose=verbose)
    for handler in logging.getLogger("ecs_appliance").handlers:
        handler.addFilter(_remember)


def _remember(record: logging.LogRecord) -> bool:
    """Remember the message of a logged error. Return True, so that the record is logged."""
    if record.levelno >= logging.ERROR:
        _logged.append(record.getMessage())
    return True


def main() -> None:
    """Run the command line, and turn errors into exit codes."""
    try:
        app(prog_name="appliance")
    except BrokenPipeError:
        # The reader closed the pipe. Python flushes standard output at exit, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EPIPE_CODE)
    except Exception as error:  # the last boundary: a traceback of Python would not be masked
        failure = as_failure(error)
        if isinstance(failure, UnexpectedError):
            log.error("unexpected", exc_info=error)
        report(failure)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def report(error: ApplianceError) -> None:
    """Log what is wrong and what to do next, unless an alert raised just now has already logged it."""
    if error.alerted and any(error.message in line for line in _logged):
        return
    log.error("%s", masked(error.message))
    if error.hint:
        log.error("  → %s", masked(error.hint))
