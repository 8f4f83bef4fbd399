"""`appliance network`: what the firewall does with packets that go out."""

import json
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="See what the network lets through.")


@app.callback()
def options() -> None:
    """Make of one command a group: others will come."""


@app.command("refused")
def refused(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show what containers, builds and accounts wanted to reach within the last day, and were refused."""
    from dataclasses import asdict

    from ecs_appliance.cli.display import show_table
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.host import docker, nftables

    runner = SystemRunner()
    counts, found = nftables.refused_packets(runner), nftables.refusals(runner)
    names = docker.container_addresses(runner) if found else {}
    if as_json:
        rows = [{**asdict(refusal), "container": names.get(refusal.source, "")} for refusal in found]
        typer.echo(json.dumps({"ok": True, "packets": counts, "refused": rows}))
        return
    typer.echo("packets refused: " + ", ".join(f"{kind} {number}" for kind, number in sorted(counts.items())))
    show_table(
        ("PACKETS", "FROM", "TO", "PORT"),
        [
            (str(one.packets), names.get(one.source, one.source), one.target, f"{one.port}/{one.protocol}")
            for one in found
        ],
    )
