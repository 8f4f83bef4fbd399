"""Commands about this machine: install, plan, converge."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.core.errors import NotRunningError, RefusedError

if TYPE_CHECKING:
    from ecs_appliance.converge.report import ConvergeReport

LOCK_WAIT = 30.0
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def install(
    yes: Annotated[bool, typer.Option("--yes", help="Yes, turn this machine into an appliance.")] = False,
    branch: Annotated[str, typer.Option(help="Branch to install; default: the commit of this clone.")] = "",
    source: Annotated[str, typer.Option(help="Repository to install from; default: this clone.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Overrule too little memory or disk.")] = False,
) -> None:
    """Turn this Debian 13 machine into an appliance."""
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.lifecycle import preflight

    preflight.check_machine(preflight.look_at(Paths()), force=force)
    if not yes:
        raise RefusedError("this turns the whole machine into an appliance", "say so with --yes")
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.install import install as work

    work(Context(), source=source or None, branch=branch or None)


def plan(as_json: AsJson = False) -> None:
    """Show what converge would change; changes nothing."""
    _converge(dry_run=True, as_json=as_json)


def converge(as_json: AsJson = False) -> None:
    """Bring this machine into the state its environment asks for."""
    _converge(dry_run=False, as_json=as_json)


def _converge(*, dry_run: bool, as_json: bool) -> None:
    from ecs_appliance.converge.engine import MINION_CONFIG
    from ecs_appliance.converge.engine import converge as run
    from ecs_appliance.core.locks import locked
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.machine_report import report_machine

    paths = Paths()
    if not MINION_CONFIG.exists():
        raise NotRunningError("this machine is no appliance", "./appliance install --yes makes it one")
    if dry_run:
        report = run(dry_run=True)
    else:
        with locked(paths.lock, "converge", wait=LOCK_WAIT):
            report = run()
        report_machine(Context())
    _print(report, as_json=as_json)
    report.check()


def _print(report: "ConvergeReport", *, as_json: bool) -> None:
    from ecs_appliance.core.log import masked

    shown = report.having("changed", "would change", "failed")
    if as_json:
        typer.echo(masked(json.dumps(report.as_data())))
        return
    for state in shown:
        typer.echo(masked(f"{state.outcome:<13} {state.name}\n{state.describe()}".rstrip()))
    typer.echo(report.summary())
