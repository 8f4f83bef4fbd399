"""`appliance rewind`: reset only the database to an earlier time."""

from datetime import datetime
from typing import TYPE_CHECKING

import typer

from ecs_appliance.cli import confirm, display
from ecs_appliance.cli.confirm import Sure, Yes
from ecs_appliance.cli.display import AsJson, To
from ecs_appliance.core.errors import RefusedError

if TYPE_CHECKING:
    from ecs_appliance.backup.rewind import Preview
    from ecs_appliance.lifecycle.rewind import RewindReport

EXAMPLE = "appliance rewind --to '2030-05-17 12:00'\nappliance rewind --to '2030-05-17 12:00' --yes"
# How many of the documents that would lose their row are listed; --json lists all.
SHOWN = 20


def rewind(to: To = None, yes: Yes = False, as_json: AsJson = False, sure: Sure = False) -> None:
    """Reset the database to an earlier time; documents are kept.

    Without --yes, the command shows what would change and, on a terminal, asks for confirmation. The current database
    is kept under another name. To resume an interrupted rewind, give only --yes.
    """
    from ecs_appliance.lifecycle import rewind as work
    from ecs_appliance.lifecycle.context import Context

    moment = to.astimezone().timestamp() if to else None
    if not (yes or sure):
        if moment is None:
            raise RefusedError(
                "no time given to go back to",
                "name the time: --to 'YYYY-MM-DD HH:MM'; to resume an interrupted rewind: --yes",
            )
        _show_preview(work.look(Context(), moment), as_json=as_json)
        if as_json or not (confirm.can_ask() and confirm.ask("Reset the database now?")):
            _show_way(moment, as_json=as_json)
            return
    _show_report(work.rewind(Context(), moment), as_json=as_json)


def _show_preview(preview: "Preview", *, as_json: bool) -> None:
    from ecs_appliance.backup.plan import in_gb
    from ecs_appliance.cli.table import show_table

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
    shown["lost rows"] = f"{display.counted(len(preview.newer), 'document')}; the files are kept"
    display.show(shown)
    if preview.newer:
        show_table(("document", "name"), preview.newer[:SHOWN])
    if len(preview.newer) > SHOWN:
        typer.echo(f"and {len(preview.newer) - SHOWN} more; --json lists all")


def _show_way(moment: float, *, as_json: bool) -> None:
    if not as_json:
        typer.echo("nothing was changed")
        typer.echo(f"  → to reset it: appliance rewind --to '{_local(moment)}' --yes")


def _show_report(report: "RewindReport", *, as_json: bool) -> None:
    newer = list(report.documents.newer)
    if as_json:
        answer = {"to": _local(report.moment), "kept": report.kept, "documents": report.documents.rows}
        display.show({**answer, "newer": newer, "seconds": round(report.seconds, 1)}, as_json=True)
        return
    display.show(
        {
            "database": f"as of {_local(report.moment)}, in {report.seconds:.0f} s",
            "kept": f"the previous database in {report.kept}; remove it when it is no longer needed",
            "documents": f"{report.documents.summary()}; {len(newer)} files no longer have a row",
        }
    )


def _local(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M:%S}"
