"""Commands for this machine: install, plan, converge."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli import confirm
from ecs_appliance.cli.confirm import Yes
from ecs_appliance.cli.display import AsJson
from ecs_appliance.core.errors import NotRunningError

if TYPE_CHECKING:
    from ecs_appliance.converge.report import ConvergeReport
    from ecs_appliance.lifecycle.context import Context

LOCK_WAIT = 30.0


def install(
    yes: Yes = False,
    branch: Annotated[
        str, typer.Option("--branch", metavar="BRANCH", help="Install this branch instead of the commit of this clone.")
    ] = "",
    source: Annotated[
        str, typer.Option("--source", metavar="URL", help="Install from this repository instead of this clone.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Install even with too little memory or disk.")] = False,
) -> None:
    """Turn this Debian 13 machine into an appliance.

    This changes packages, accounts, firewall, ssh and services of the whole machine. Without --yes, the command asks
    for confirmation.
    """
    from ecs_appliance.core.paths import Paths
    from ecs_appliance.lifecycle import preflight

    preflight.check_machine(preflight.inspect(Paths()), force=force)
    confirm.confirm("this turns the whole machine into an appliance", yes=yes)
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.install import install as work

    work(Context(), source=source or None, branch=branch or None)


def plan(as_json: AsJson = False) -> None:
    """Show what converge would change, without changing it.

    The plan is for the current /app/env.yml, even if that is not active yet.
    """
    from ecs_appliance.lifecycle.converging import plan_converge

    origin, report = plan_converge(_appliance())
    _print(report, as_json=as_json, origin=origin)
    report.check()


def converge(as_json: AsJson = False) -> None:
    """Bring this machine into its declared state.

    The active environment declares that state. If another action is running, the command waits up to 30 seconds.
    """
    from ecs_appliance.core.locks import locked
    from ecs_appliance.lifecycle.converging import try_to_converge
    from ecs_appliance.lifecycle.machine_report import report_machine
    from ecs_appliance.lifecycle.prepare_env import active_env

    context = _appliance()
    with locked(context.paths.lock, "converge", wait=LOCK_WAIT):
        env = active_env(context) if context.paths.active_env.exists() else None
        report = try_to_converge(context, env)
    report_machine(context)
    _print(report, as_json=as_json, origin=str(context.paths.active_env) if env else "no environment")
    report.check()


def _appliance() -> "Context":
    """Return the context of this machine. Raise NotRunningError if the appliance is not installed."""
    from ecs_appliance.converge.engine import MINION_CONFIG
    from ecs_appliance.lifecycle.context import Context

    if not MINION_CONFIG.exists():
        raise NotRunningError("the appliance is not installed on this machine", "install it: ./appliance install --yes")
    return Context()


def _print(report: "ConvergeReport", *, as_json: bool, origin: str) -> None:
    from ecs_appliance.core.log import masked

    shown = report.having("changed", "would change", "failed")
    if as_json:
        typer.echo(masked(json.dumps({**report.as_data(), "environment": origin})))
        return
    for state in shown:
        typer.echo(masked(f"{state.outcome:<13} {state.name}\n{state.describe()}".rstrip()))
    typer.echo(f"{origin}: {report.summary()}")
