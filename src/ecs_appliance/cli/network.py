"""`appliance network`: outgoing connections that the firewall refused."""

import json

import typer

from ecs_appliance.cli.display import AsJson
from ecs_appliance.cli.tree import Tree

app = Tree(
    no_args_is_help=True, help="Show which connections the firewall refuses.", example="appliance network refused"
)


@app.callback()
def options() -> None:
    """Keep `network` a group although it has only one command."""


@app.command("refused", example="appliance network refused")
def refused(as_json: AsJson = False) -> None:
    """Show the connections that were refused within the last day.

    These are connections that containers, image builds and accounts of this machine tried to open to other hosts.
    """
    from dataclasses import asdict

    from ecs_appliance.cli.table import show_table
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.host import docker, nftables

    runner = SystemRunner()
    counts, found = nftables.refused_packets(runner), nftables.refusals(runner)
    names = docker.container_addresses(runner) if found else {}
    if as_json:
        refused = [{**asdict(refusal), "container": names.get(refusal.source, "")} for refusal in found]
        typer.echo(json.dumps({"ok": True, "packets": counts, "refused": refused}))
        return
    typer.echo("packets refused: " + ", ".join(f"{kind} {number}" for kind, number in sorted(counts.items())))
    if found:
        rows = [
            (str(one.packets), names.get(one.source, one.source), one.target, f"{one.port}/{one.protocol}")
            for one in found
        ]
        show_table(("packets", "from", "to", "port"), rows, whole=3)
