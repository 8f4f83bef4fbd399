"""`appliance recover`: restore this machine from env.yml and the backup."""

from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli import confirm, display
from ecs_appliance.cli.backup import Snapshot, describe, snapshot_data
from ecs_appliance.cli.confirm import Sure, Yes
from ecs_appliance.cli.display import AsJson, To
from ecs_appliance.core.errors import RefusedError

if TYPE_CHECKING:
    from ecs_appliance.lifecycle.recover import RecoveryPlan, RecoveryReport

EXAMPLE = "appliance recover --plan\nappliance recover --yes --to '2030-05-17 12:00'"


def recover(  # noqa: PLR0917 # typer derives options from the parameters
    yes: Yes = False,
    snapshot: Snapshot = "",
    to: To = None,
    show_plan: Annotated[bool, typer.Option("--plan", help="Show what would be done without doing it.")] = False,
    only_restore: Annotated[bool, typer.Option("--only-restore", help="Do not start the site afterwards.")] = False,
    move_aside: Annotated[bool, typer.Option("--move-aside", help="Keep existing data under another name.")] = False,
    as_json: AsJson = False,
    sure: Sure = False,
) -> None:
    """Restore this machine from env.yml and the backup.

    Without --yes, the command shows the plan and asks for confirmation. If a recovery is interrupted, run the command
    again to resume it. The options --snapshot and --to cannot be combined.
    """
    from ecs_appliance.cli.progress import restic_progress
    from ecs_appliance.lifecycle import recover as work
    from ecs_appliance.lifecycle.context import Context

    if snapshot and to:
        raise RefusedError("--snapshot and --to cannot be combined", "give only one of them")
    until = to.astimezone() if to else None
    request = work.RecoveryRequest(snapshot=snapshot, until=until, aside=move_aside, start=not only_restore)
    if show_plan:
        _show_plan(work.plan(Context(), request), as_json=as_json)
        return
    confirm.confirm(
        "this restores the backup onto this machine",
        yes=yes or sure,
        show=lambda: _show_plan(work.plan(Context(), request), as_json=False),
        hint=f"{confirm.CONFIRM}, or show the plan: --plan",
        quiet=as_json,
    )
    with restic_progress("restoring") as on_progress:
        report = work.recover(Context(), request, on_progress=on_progress)
    _show_report(report, as_json=as_json)


def _show_plan(plan: "RecoveryPlan", *, as_json: bool) -> None:
    from ecs_appliance.backup.plan import in_gb

    if as_json:
        answer = {"backup": snapshot_data(plan.snapshot), "size": plan.size, "in_the_way": list(plan.obstacles)}
        display.show({**answer, "resumed": plan.resumed}, as_json=True)
        return
    found = ", ".join(plan.obstacles)
    display.show(
        {
            "backup": describe(plan.snapshot),
            "size": in_gb(plan.size),
            "conflicts": f"{found}; --move-aside keeps existing data under another name" if found else "none",
            "begun": "yes; resumes where it was interrupted" if plan.resumed else "no",
        }
    )


def _show_report(report: "RecoveryReport", *, as_json: bool) -> None:
    documents, taken = report.documents, report.taken.astimezone()
    if as_json:
        found = {"documents": documents.rows, "newer": list(documents.newer)} if documents else None
        answer = {"backup": report.snapshot, "taken": taken.isoformat(), "vault": found}
        display.show({**answer, "seconds": round(report.seconds, 1), "advice": report.advice}, as_json=True)
        return
    display.show({"recovered": f"{report.snapshot[:8]} of {taken:%Y-%m-%d %H:%M:%S} in {report.seconds:.0f} s"})
    if documents is None:
        display.show({"site": "not started, so documents were not compared; start it: systemctl restart appliance"})
    else:
        newer = f"; {len(documents.newer)} files are newer than the database" if documents.newer else ""
        display.show({"documents": f"{documents.summary()}{newer}"})
    if report.advice:
        display.show({"next": report.advice})
