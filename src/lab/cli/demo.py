"""`appliance demo`: a complete appliance in a separate machine on this host."""

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.core.errors import ApplianceError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.demo import DemoSite
    from lab.nspawn import NspawnMachine
    from lab.progress import Progress

HELP = """Create a complete appliance in a separate machine on this host.

The machine is a Debian 13 container of systemd-nspawn with its own network. Each step is printed with its duration,
then the site's address and a first login. If the command fails or is interrupted, run it again: it resumes where it
stopped. It must be run as root, and is refused on a production machine.
"""
EXAMPLE = "appliance demo\nappliance demo exec -- appliance status\nappliance demo destroy"

Name = Annotated[str | None, typer.Option("--name", help="The machine's name, instead of demo.", metavar="NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]
DEFAULT = "demo"
LOG_LINES = 200
LOCK_SECONDS = 5.0


def demo(context: typer.Context, name: Name = None, as_json: AsJson = False) -> None:
    """Create the machine and the site, or what is missing of them."""
    context.obj = name
    if context.invoked_subcommand is not None:
        return
    from lab.demo import Demonstration

    with _progress(plain=as_json) as progress:
        try:
            site = Demonstration(_name(context, name), progress).run()
        except ApplianceError as error:
            if as_json:
                typer.echo(json.dumps({"ok": False, "error": error.message, "hint": error.hint}))
            raise
    typer.echo(site.to_json() if as_json else _welcome(_name(context, name), site))


def status(context: typer.Context, name: Name = None) -> None:
    """Show whether the machine runs and the site answers.

    The exit code is 0 if the site is healthy, 1 if it is not, and 6 if the machine does not run.
    """
    from lab.health import probe

    machine = _machine(context, name)
    health = probe(machine, machine.folder.path / "ca.pem")
    typer.echo(f"machine  runs at {machine.spec.network.address}")
    typer.echo(f"site     {'answers' if health.up else health.note or f'HTTP status {health.status}'}")
    typer.echo(f"units    {', '.join(health.failed_units) + ' failed' if health.failed_units else 'none failed'}")
    raise typer.Exit(ExitCode.OK if health.up else ExitCode.FAILED)


def execute(
    context: typer.Context,
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="The command and its arguments, after -- if it has options.")
    ],
    name: Name = None,
) -> None:
    """Run a command as root in the machine.

    The command uses this terminal, standard input and output, and its exit code is returned.
    """
    _machine(context, name).guest.exec(command)


def shell(context: typer.Context, name: Name = None) -> None:
    """Open a root shell in the machine."""
    _machine(context, name).guest.exec(["script", "--quiet", "--return", "--command", "exec bash -l", "/dev/null"])


def logs(
    context: typer.Context,
    name: Name = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="NUMBER", help="Number of lines.", min=0)] = LOG_LINES,
) -> None:
    """Show the last lines of the machine's journal."""
    words = ["journalctl", "--no-pager", f"--lines={lines}", *(["--follow"] if follow else [])]
    _machine(context, name).guest.exec(words)


def start(context: typer.Context, name: Name = None) -> None:
    """Boot the stopped machine; the site starts automatically."""
    from lab.production import refuse_production

    refuse_production(_machine(context, name).paths)  # before even a lock file is created
    with _locked_machine(context, name, "start") as machine:
        machine.start()
        typer.echo(f"the machine {machine.name} is running at {machine.spec.network.address}")


def stop(context: typer.Context, name: Name = None) -> None:
    """Shut the machine down cleanly; everything in it is kept."""
    with _locked_machine(context, name, "stop") as machine:
        was_running = machine.running
        machine.stop()
        typer.echo(f"the machine {machine.name} {'has been stopped' if was_running else 'was not running'}")


def destroy(context: typer.Context, name: Name = None) -> None:
    """Remove the machine with all its data; downloads stay cached."""
    with _locked_machine(context, name, "destroy") as machine:
        existed = machine.folder.path.exists()
        machine.destroy()
        typer.echo(f"the machine {machine.name} {'has been removed' if existed else 'does not exist'}")


def _name(context: typer.Context, name: str | None) -> str:
    """Return the name of the machine; the option may precede or follow the subcommand."""
    return name or context.obj or DEFAULT


def _machine(context: typer.Context, name: str | None) -> "NspawnMachine":
    from ecs_appliance.core.runner import SystemRunner
    from lab.nspawn import NspawnMachine

    return NspawnMachine(_name(context, name), SystemRunner())


@contextmanager
def _locked_machine(context: typer.Context, name: str | None, purpose: str) -> "Iterator[NspawnMachine]":
    from ecs_appliance.core.locks import locked

    machine = _machine(context, name)
    with locked(machine.folder.lock, purpose, wait=LOCK_SECONDS):
        yield machine


def _progress(*, plain: bool) -> "Progress":
    """Return a progress display on standard error, since results go to standard output."""
    from lab.progress import PlainProgress, Spinner

    return PlainProgress(sys.stderr) if plain or not sys.stderr.isatty() else Spinner(sys.stderr)


def _welcome(name: str, site: "DemoSite") -> str:
    option = "" if name == DEFAULT else f" --name {name}"
    return (
        f"\nThe site is up:  {site.url}\n"
        f"  login          {site.user}\n"
        f"  password       {site.password}\n"
        f"  certificate    {site.ca_file} (curl --cacert)\n"
        "\nTry next\n"
        f"  appliance demo{option} status      check that everything is healthy\n"
        f"  appliance demo{option} shell       open a root shell in the machine\n"
        f"  appliance demo{option} logs -f     follow its journal\n"
        f"  appliance demo{option} stop        shut it down; start boots it again\n"
        f"  appliance demo{option} destroy     remove it\n"
    )
