"""`appliance demo`: the whole appliance in a machine of its own on this host."""

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

app = typer.Typer(help="Show a whole appliance in a machine of its own; run again, it resumes where it ended.")

Name = Annotated[str | None, typer.Option("--name", help="Which machine, where there are several.", metavar="NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="End with one line of JSON on standard output.")]
DEFAULT = "demo"
LOG_LINES = 200
LOCK_SECONDS = 5.0


@app.callback(invoke_without_command=True)
def demo(context: typer.Context, name: Name = None, as_json: AsJson = False) -> None:
    """Make the machine and the site, or what is missing of it."""
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


@app.command()
def status(context: typer.Context, name: Name = None) -> None:
    """Show whether the machine runs and the site answers; exit code 0 when all is well, 6 where nothing runs."""
    from lab.health import probe

    machine = _machine(context, name)
    health = probe(machine, machine.folder.path / "ca.pem")
    typer.echo(f"machine  runs at {machine.spec.network.address}")
    typer.echo(f"site     {'answers' if health.up else health.note or f'HTTP status {health.status}'}")
    typer.echo(f"units    {', '.join(health.failed_units) + ' failed' if health.failed_units else 'none failed'}")
    raise typer.Exit(ExitCode.OK if health.up else ExitCode.FAILED)


@app.command("exec", context_settings={"allow_interspersed_args": False})
def execute(context: typer.Context, command: Annotated[list[str], typer.Argument()], name: Name = None) -> None:
    """Run COMMAND as root in the machine, with this terminal, input and output; its exit code is ours."""
    _machine(context, name).guest.exec(command)


@app.command()
def shell(context: typer.Context, name: Name = None) -> None:
    """Open a root shell in the machine."""
    _machine(context, name).guest.exec(["script", "--quiet", "--return", "--command", "exec bash -l", "/dev/null"])


@app.command()
def logs(
    context: typer.Context,
    name: Name = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow what comes.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.", min=0)] = LOG_LINES,
) -> None:
    """Show the machine's journal."""
    words = ["journalctl", "--no-pager", f"--lines={lines}", *(["--follow"] if follow else [])]
    _machine(context, name).guest.exec(words)


@app.command()
def start(context: typer.Context, name: Name = None) -> None:
    """Boot the machine again; the site comes up by itself."""
    from lab.production import refuse_production

    refuse_production(_machine(context, name).paths)  # before there is so much as a lock
    with _locked_machine(context, name, "start") as machine:
        machine.start()
        typer.echo(f"the machine {machine.name} runs at {machine.spec.network.address}")


@app.command()
def stop(context: typer.Context, name: Name = None) -> None:
    """Shut the machine down in order; everything in it is kept."""
    with _locked_machine(context, name, "stop") as machine:
        was_running = machine.running
        machine.stop()
        typer.echo(f"the machine {machine.name} {'is stopped' if was_running else 'was not running'}")


@app.command()
def destroy(context: typer.Context, name: Name = None) -> None:
    """Remove the machine and everything in it; downloads stay cached."""
    with _locked_machine(context, name, "destroy") as machine:
        existed = machine.folder.path.exists()
        machine.destroy()
        typer.echo(f"the machine {machine.name} {'is removed' if existed else 'is not there'}")


def _name(context: typer.Context, name: str | None) -> str:
    """Return the machine that the option names, before or after the subcommand."""
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
    """Return how progress is shown on standard error; results go to standard output."""
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
        f"  appliance demo{option} status      whether all is well\n"
        f"  appliance demo{option} shell       a root shell in the machine\n"
        f"  appliance demo{option} logs -f     its journal\n"
        f"  appliance demo{option} stop        shut it down; start brings it back\n"
        f"  appliance demo{option} destroy     remove it\n"
    )
