"""`appliance status` and `appliance alerts`: how this machine fares, and what is wrong with it now."""

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecs_appliance.checks.check import Machine

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def status(as_json: AsJson = False) -> None:
    """Show how the site and its machine fare; exit code 0: all is well, 1: something is wrong, 2: the site is down."""
    from ecs_appliance.checks.checks import current_alerts
    from ecs_appliance.checks.overview import lines, overview

    machine = _machine()
    seen = overview(machine, current_alerts(machine))
    if as_json:
        typer.echo(json.dumps(seen.as_data()))
    else:
        typer.echo("\n".join(lines(seen, machine.now)))
    raise typer.Exit(seen.exit_code)


def alerts(
    as_json: AsJson = False,
    reference: Annotated[bool, typer.Option("--reference", help="Print all that can be wrong, as Markdown.")] = False,
) -> None:
    """Show what is wrong now, the worst first, each with the next step; exit code 1 where something is."""
    import time
    from dataclasses import asdict

    from ecs_appliance.checks.checks import CHECKS, current_alerts
    from ecs_appliance.core.errors import ExitCode
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.core.text import shown_line
    from ecs_appliance.reporting.alerts import Alerts

    if reference:
        from ecs_appliance.reporting.topics import render_reference

        typer.echo(render_reference(), nl=False)
        return
    # Who is not root reads what root's last check found.
    standing = current_alerts(_machine()) if os.geteuid() == 0 else Alerts(Paths()).standing()
    if as_json:
        typer.echo(json.dumps({"ok": not standing, "alerts": [asdict(alert) for alert in standing]}))
    elif not standing:
        typer.echo(f"nothing is wrong with {', '.join(CHECKS)}")
    else:
        for alert in standing:
            since = time.strftime("%Y-%m-%d %H:%M", time.localtime(alert.since))
            first, *others = map(shown_line, alert.message.splitlines() or [""])
            typer.echo(f"{alert.severity:<9} {since}  {first}")
            for line in others:
                typer.echo(f"  {line.strip()}")
            typer.echo(f"  → {shown_line(alert.hint)}")
    raise typer.Exit(ExitCode.FAILED if standing else ExitCode.OK)


def _machine() -> "Machine":
    """This machine. Raises RefusedError for who cannot look at all of it."""
    from ecs_appliance.checks.check import Machine
    from ecs_appliance.core.errors import RefusedError
    from ecs_appliance.lifecycle.context import Context

    if os.geteuid() != 0:
        raise RefusedError("only root sees how the machine fares", "run it with sudo")
    return Machine(Context())
