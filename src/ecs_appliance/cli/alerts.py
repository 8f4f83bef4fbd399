"""`appliance status` and `appliance alerts`: the state of this machine, and what is wrong with it now."""

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli.display import AsJson

if TYPE_CHECKING:
    from ecs_appliance.checks.check import Machine


def status(as_json: AsJson = False) -> None:
    """Show the state of the site and of its machine on one screen.

    The exit code is 0 if everything is in order, 1 if something is wrong, and 2 if the site is down. The command must
    be run as root.
    """
    from ecs_appliance.checks.overview import lines, overview
    from ecs_appliance.checks.run import current_alerts

    machine = _machine()
    seen = overview(machine, current_alerts(machine))
    if as_json:
        typer.echo(json.dumps(seen.as_data()))
    else:
        typer.echo("\n".join(lines(seen, machine.now)))
    raise typer.Exit(seen.exit_code)


def alerts(
    as_json: AsJson = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Print every possible alert as Markdown instead.")
    ] = False,
) -> None:
    """Show all current problems, worst first, each with the next step.

    The exit code is 0 if there are none and 1 otherwise. Root runs all checks; other accounts see the results of the
    last check.
    """
    import time
    from dataclasses import asdict

    from ecs_appliance.checks.run import CHECKS, current_alerts
    from ecs_appliance.core.errors import ExitCode
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.core.text import shown_line
    from ecs_appliance.reporting.alerts import Alerts

    if reference:
        from ecs_appliance.reporting.topics import render_reference

        typer.echo(render_reference(), nl=False)
        return
    # Other accounts cannot run the checks, but may read the results of root's last check.
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
    """Return this machine. Raise RefusedError for accounts other than root, which cannot see all of it."""
    from ecs_appliance.checks.check import Machine
    from ecs_appliance.core.errors import RefusedError
    from ecs_appliance.lifecycle.context import Context

    if os.geteuid() != 0:
        raise RefusedError("only root can check the whole machine", "run it with sudo")
    return Machine(Context())
