"""`appliance backup` and `appliance recover`: what is kept off the machine, and the way back."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecs_appliance.cli import display
from ecs_appliance.cli.display import AsJson
from ecs_appliance.core.errors import RefusedError

if TYPE_CHECKING:
    from ecs_appliance.host.restic import Snapshot
    from ecs_appliance.lifecycle.recover import Plan, Report

app = typer.Typer(no_args_is_help=True, help="Backups of database, documents and keys.")

HEADINGS = ("backup", "taken", "of")
LOCK_WAIT = 900.0
TIMES = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"]


@app.command("run")
def run(
    nightly: Annotated[
        bool, typer.Option("--nightly", help="Dump the database too, remove old backups, and check.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup now."""
    from ecs_appliance.lifecycle.backup import back_up, summary
    from ecs_appliance.lifecycle.context import Context

    with _progress() as note:
        report = back_up(Context(), nightly=nightly, wait=LOCK_WAIT, note=note)
    if not as_json:
        typer.echo(summary(report))
        return
    made = report.made
    answer = {"backup": made.id, "files": made.files, "size": made.size, "added": made.added}
    lost = {name: list(getattr(report.stock, name)) for name in ("missing", "altered", "gone")}
    answer = {**answer, "seconds": round(report.seconds, 2), "removed": list(report.removed), "documents": lost}
    display.show(answer, as_json=True)


@app.command("list")
def list_backups(as_json: AsJson = False) -> None:
    """Show the backups, oldest first."""
    from ecs_appliance.lifecycle.backup import open_repository
    from ecs_appliance.lifecycle.context import Context

    with open_repository(Context()) as repository:
        found = repository.snapshots()
    if as_json:
        display.show({"backups": [_as_json(snapshot) for snapshot in found]}, as_json=True)
        return
    if found:
        rows = [(each.short, f"{each.time.astimezone():%Y-%m-%d %H:%M:%S}", each.host) for each in found]
        display.show_table(HEADINGS, rows)
    typer.echo(display.counted(len(found), "backup"))


@app.command("check")
def check(
    everything: Annotated[bool, typer.Option("--all", help="Read all data, not only what leads to them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look whether the backups are sound; damaged data are only found by --all, or by the nightly part of it."""
    from ecs_appliance.lifecycle.backup import EVERYTHING, check_backups
    from ecs_appliance.lifecycle.context import Context

    check_backups(Context(), subset=EVERYTHING if everything else "")
    if as_json:
        display.show({"read": "data" if everything else "structure"}, as_json=True)
        return
    typer.echo("the backups are sound" if everything else "the backups are complete; --all reads their data too")


@app.command("rehearse")
def rehearse(
    snapshot: Annotated[str, typer.Option(metavar="ID", help="Backup to rehearse with; default: the last.")] = "",
    as_json: AsJson = False,
) -> None:
    """Recover the last backup beside the running site, compare everything, and leave evidence; exit code 1 where
    something is wrong."""
    import sys

    from ecs_appliance.backup.rehearsal import SLICE
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.lifecycle import rehearsal
    from ecs_appliance.lifecycle.context import Context

    if not rehearsal.gives_way():
        # All that it starts, database server and container, gives way to the site, as the unit's does.
        words = ["systemd-run", "--scope", "--quiet", "--collect", f"--slice={SLICE}", "--nice=19"]
        raise typer.Exit(SystemRunner().interact([*words, "/usr/local/bin/appliance", *sys.argv[1:]]))
    with _progress() as note:
        evidence = rehearsal.run(Context(), snapshot=snapshot, note=note)
    if as_json:
        display.show(evidence.facts(), as_json=True)
        raise typer.Exit(0 if evidence.ok else 1)
    typer.echo(evidence.render())
    rehearsal.report(evidence)


@app.command("prune")
def prune(as_json: AsJson = False) -> None:
    """Remove the backups that retention does not keep, and make their room free."""
    from ecs_appliance.lifecycle.backup import prune_backups
    from ecs_appliance.lifecycle.context import Context

    removed = prune_backups(Context())
    if as_json:
        display.show({"removed": list(removed)}, as_json=True)
    else:
        typer.echo(f"{display.counted(len(removed), 'backup')} removed")


@app.command("unlock")
def unlock() -> None:
    """Remove the locks that dead processes left in the repository; each run does so by itself."""
    from ecs_appliance.lifecycle.backup import open_repository
    from ecs_appliance.lifecycle.context import Context

    with open_repository(Context()) as repository:
        repository.unlock()
    typer.echo("no lock of a dead process is left")


@app.command("stats")
def stats(as_json: AsJson = False) -> None:
    """Show how much is stored."""
    from ecs_appliance.backup.plan import in_gb
    from ecs_appliance.lifecycle.backup import open_repository
    from ecs_appliance.lifecycle.context import Context

    with open_repository(Context()) as repository:
        found = repository.snapshots()
        stored = repository.stored_size()
    if as_json:
        display.show({"backups": len(found), "stored": stored}, as_json=True)
        return
    display.show({"backups": len(found), "stored": in_gb(stored), "target": repository.shown})


@app.command("fetch")
def fetch(
    file: Annotated[str, typer.Argument(help="Path below /data, such as ecs-pgdump/ecs.pgdump.gz.")],
    target: Annotated[Path, typer.Argument(help="Where to write it; never over a file that is there.")],
    snapshot: Annotated[str, typer.Option(metavar="ID", help="Backup to take it from; default: the last.")] = "",
    as_json: AsJson = False,
) -> None:
    """Get one file out of a backup."""
    from ecs_appliance.lifecycle.backup import fetch_file
    from ecs_appliance.lifecycle.context import Context

    found = fetch_file(Context(), file, target, snapshot=snapshot)
    if as_json:
        display.show({"file": str(target), "backup": _as_json(found)}, as_json=True)
        return
    typer.echo(f"{target} is {file} of {found.time.astimezone():%Y-%m-%d %H:%M:%S}")


@app.command("restore-document")
def restore_document(
    document: Annotated[str, typer.Argument(metavar="ID", help="The document's ID, as an alert names it.")],
    snapshot: Annotated[str, typer.Option(metavar="ID", help="Backup to take it from; default: the newest.")] = "",
    as_json: AsJson = False,
) -> None:
    """Bring a document back to its place, out of the newest backup that has it as it was recorded."""
    from ecs_appliance.lifecycle import restore_document as work
    from ecs_appliance.lifecycle.context import Context

    done = work.restore_document(Context(), document, snapshot=snapshot)
    if as_json:
        answer = {"document": done.name, "was": done.was, "verified": done.verified}
        display.show({**answer, "backup": _as_json(done.snapshot)}, as_json=True)
        return
    taken = f"{done.snapshot.time.astimezone():%Y-%m-%d %H:%M:%S}"
    typer.echo(f"document {done.name} was {done.was} and is back, from backup {done.snapshot.short} of {taken}")
    if not done.verified:
        typer.echo("  → nothing is recorded that it could be compared with: open it in the application")


@app.command("mount")
def mount(folder: Annotated[Path, typer.Argument(help="An empty folder.")]) -> None:
    """Show all backups in a folder, read-only, until Ctrl-C."""
    from ecs_appliance.lifecycle.backup_mount import mount_backups
    from ecs_appliance.lifecycle.context import Context

    hint = f"the backups are in {folder}/snapshots, until you press Ctrl-C here"
    mount_backups(Context(), folder, ready=lambda: typer.echo(hint))


def recover(  # noqa: PLR0917 # how typer names what it reads
    yes: Annotated[bool, typer.Option("--yes-i-am-sure", help="Yes, fill this machine from the backup.")] = False,
    snapshot: Annotated[str, typer.Option(metavar="ID", help="Backup to recover from; default: the last.")] = "",
    to: Annotated[
        datetime | None, typer.Option(formats=TIMES, metavar="TIME", help="Go back to this local time.")
    ] = None,
    show_plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    only_restore: Annotated[bool, typer.Option("--only-restore", help="Do not start the site.")] = False,
    move_aside: Annotated[bool, typer.Option("--move-aside", help="Keep existing data under another name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recover this machine from env.yml and the backup; run again, it goes on where it ended."""
    from ecs_appliance.lifecycle import recover as work
    from ecs_appliance.lifecycle.context import Context

    if snapshot and to:
        raise RefusedError("--snapshot and --to exclude each other", "name one of them")
    until = to.astimezone() if to else None
    wish = work.Wish(snapshot=snapshot, until=until, aside=move_aside, start=not only_restore)
    if show_plan:
        _show_plan(work.plan(Context(), wish), as_json=as_json)
        return
    if not yes:
        raise RefusedError("this fills the machine from the backup", "say so with --yes-i-am-sure, or look: --plan")
    with _progress() as note:
        report = work.recover(Context(), wish, note=note)
    _show_report(report, as_json=as_json)


def _show_plan(plan: "Plan", *, as_json: bool) -> None:
    from ecs_appliance.backup.plan import in_gb

    if as_json:
        answer = {"backup": _as_json(plan.snapshot), "size": plan.size, "in_the_way": list(plan.obstacles)}
        display.show({**answer, "resumed": plan.resumed}, as_json=True)
        return
    way = ", ".join(plan.obstacles)
    display.show(
        {
            "backup": f"{plan.snapshot.short} of {plan.snapshot.time.astimezone():%Y-%m-%d %H:%M:%S}",
            "size": in_gb(plan.size),
            "in the way": f"{way}: --move-aside keeps it under another name" if way else "nothing",
            "begun": "yes: it goes on where it ended" if plan.resumed else "no",
        }
    )


def _show_report(report: "Report", *, as_json: bool) -> None:
    documents, taken = report.documents, report.taken.astimezone()
    if as_json:
        found = {"documents": documents.rows, "newer": list(documents.newer)} if documents else None
        answer = {"backup": report.snapshot, "taken": taken.isoformat(), "vault": found}
        display.show({**answer, "seconds": round(report.seconds, 1), "advice": report.advice}, as_json=True)
        return
    display.show({"recovered": f"{report.snapshot[:8]} of {taken:%Y-%m-%d %H:%M:%S} in {report.seconds:.0f} s"})
    if documents is None:
        display.show({"site": "not started: systemctl restart appliance; documents were not compared"})
    else:
        newer = f"; {len(documents.newer)} files are newer than the database" if documents.newer else ""
        display.show({"documents": f"{documents.summary()}{newer}"})
    if report.advice:
        display.show({"next": report.advice})


def _as_json(snapshot: "Snapshot") -> dict[str, object]:
    return {"id": snapshot.id, "taken": snapshot.time.isoformat(), "of": snapshot.host}


@contextmanager
def _progress() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A bar on a terminal for what restic tells; nothing elsewhere."""
    import sys

    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=1.0)
        yield lambda message: bars.update(task, completed=float(message.get("percent_done", 0.0)))
