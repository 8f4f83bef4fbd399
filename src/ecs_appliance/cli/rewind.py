"""`appliance rewind`: the database alone back in time."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli import display
from ecs_appliance.cli.backup import TIMES
from ecs_appliance.cli.display import AsJson
from ecs_appliance.core.errors import RefusedError

if TYPE_CHECKING:
    from ecs_appliance.backup.rewind import Preview
    from ecs_appliance.lifecycle.rewind import Report

# Of documents whose rows would go; --json has all.
SHOWN = 20


def rewind(
    to: Annotated[
        datetime | None, typer.Option(formats=TIMES, metavar="TIME", help="Go back to this local time.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes-i-am-sure", help="Yes, do it; without, only look.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have the database as it was, documents untouched; looks only, unless told to. Run again, it goes on."""
    from ecs_appliance.lifecycle import rewind as work
    from ecs_appliance.lifecycle.context import Context

    moment = to.astimezone().timestamp() if to else None
    if yes:
        _show_report(work.rewind(Context(), moment), as_json=as_json)
        return
    if moment is None:
        raise RefusedError("how far back?", "say so: --to 'YYYY-MM-DD HH:MM'")
    _show_preview(work.look(Context(), moment), as_json=as_json)


def _show_preview(preview: "Preview", *, as_json: bool) -> None:
    from ecs_appliance.backup.plan import in_gb

    if as_json:
        newer = [{"uuid": uuid, "name": name} for uuid, name in preview.newer]
        answer = {"to": _local(preview.moment), "backup": preview.backup.label, "earliest": _local(preview.earliest)}
        found = {"then": preview.then, "now": preview.now, "newer": newer}
        display.show({**answer, **found, "needed": preview.needed, "free": preview.free}, as_json=True)
        return
    shown = {"to": _local(preview.moment), "from": preview.backup.label, "reachable since": _local(preview.earliest)}
    for table, rows in preview.now.items():
        shown[table] = f"{preview.then.get(table, 0)} rows then, {rows} now"
    shown["room"] = f"{in_gb(preview.needed)} needed, {in_gb(preview.free)} free"
    shown["rows that go"] = f"{display.counted(len(preview.newer), 'document')}; the files stay"
    display.show(shown)
    if preview.newer:
        display.show_table(("document", "name"), preview.newer[:SHOWN])
    if len(preview.newer) > SHOWN:
        typer.echo(f"and {len(preview.newer) - SHOWN} more: --json has all")
    typer.echo("nothing was changed")
    typer.echo(f"  → to do it: appliance rewind --to '{_local(preview.moment)}' --yes-i-am-sure")


def _show_report(report: "Report", *, as_json: bool) -> None:
    newer = list(report.documents.newer)
    if as_json:
        answer = {"to": _local(report.moment), "kept": report.kept, "documents": report.documents.rows}
        display.show({**answer, "newer": newer, "seconds": round(report.seconds, 1)}, as_json=True)
        return
    display.show(
        {
            "database": f"as of {_local(report.moment)}, in {report.seconds:.0f} s",
            "of before": f"kept in {report.kept}; remove it when it is no longer needed",
            "documents": f"{report.documents.summary()}; {len(newer)} files have no row any more",
        }
    )


def _local(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M:%S}"
