"""`appliance alerts`: what is wrong with this machine now."""

import json
from typing import Annotated

import typer


def alerts(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show what is wrong now, the worst first, each with the next step; exit code 1 where something is."""
    import time
    from dataclasses import asdict

    from ecs_appliance.core.errors import ExitCode
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.core.text import printable
    from ecs_appliance.reporting.alerts import Alerts

    standing = Alerts(Paths()).standing()
    if as_json:
        typer.echo(json.dumps({"ok": not standing, "alerts": [asdict(alert) for alert in standing]}))
    elif not standing:
        typer.echo("nothing is known to be wrong")
    else:
        for alert in standing:
            since = time.strftime("%Y-%m-%d %H:%M", time.localtime(alert.since))
            typer.echo(f"{alert.severity:<9} {since}  {printable(alert.message)}")
            if alert.hint:
                typer.echo(f"  → {alert.hint}")
    raise typer.Exit(ExitCode.FAILED if standing else ExitCode.OK)
