"""`appliance backup`: make, check and read backups of database, documents and keys."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli import confirm, display
from ecs_appliance.cli.confirm import Yes
from ecs_appliance.cli.display import AsJson
from ecs_appliance.cli.tree import Tree

if TYPE_CHECKING:
    from ecs_appliance.host import restic

app = Tree(
    no_args_is_help=True,
    help="Make, check and read backups of database, documents and keys.",
    example="appliance backup run\nappliance backup list",
)

Snapshot = Annotated[
    str, typer.Option("--snapshot", metavar="ID", help="Use the backup with this ID; see backup list.")
]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Write to this file, which must not exist yet.")
]
HEADINGS = ("backup", "taken", "of")
LOCK_WAIT = 900.0


@app.command("run", example="appliance backup run --nightly")
def run(
    nightly: Annotated[
        bool, typer.Option("--nightly", help="Also dump the database, remove old backups and check.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup now.

    The timers make one every 15 minutes and, with --nightly, each night. If another backup is running, the command
    waits for it, up to 15 minutes.
    """
    from ecs_appliance.cli.progress import restic_progress
    from ecs_appliance.lifecycle.backup import back_up, summary
    from ecs_appliance.lifecycle.context import Context

    with restic_progress("backing up") as on_progress:
        report = back_up(Context(), nightly=nightly, wait=LOCK_WAIT, on_progress=on_progress)
    if not as_json:
        typer.echo(summary(report))
        return
    made = report.made
    answer = {"backup": made.id, "files": made.files, "size": made.size, "added": made.added}
    lost = {name: list(getattr(report.stock, name)) for name in ("missing", "altered", "gone")}
    answer = {**answer, "seconds": round(report.seconds, 2), "removed": list(report.removed), "documents": lost}
    display.show(answer, as_json=True)


@app.command("list", example="appliance backup list")
def list_backups(as_json: AsJson = False) -> None:
    """List the backups, oldest first."""
    from ecs_appliance.cli.table import show_table
    from ecs_appliance.lifecycle.backup import open_repository
    from ecs_appliance.lifecycle.context import Context

    with open_repository(Context()) as repository:
        found = repository.snapshots()
    if as_json:
        display.show({"backups": [snapshot_data(snapshot) for snapshot in found]}, as_json=True)
        return
    if found:
        show_table(HEADINGS, [_row(snapshot) for snapshot in found])
    typer.echo(display.counted(len(found), "backup"))


@app.command("check", example="appliance backup check --all")
def check(
    everything: Annotated[bool, typer.Option("--all", help="Also read all data and verify it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check that the backups are complete.

    Without --all, only the structure of the repository is checked, so damaged data is not found. The nightly backup
    reads a part of the data each time.
    """
    from ecs_appliance.lifecycle.backup import EVERYTHING, check_backups
    from ecs_appliance.lifecycle.context import Context

    check_backups(Context(), subset=EVERYTHING if everything else "")
    if as_json:
        display.show({"read": "data" if everything else "structure"}, as_json=True)
        return
    typer.echo("the backups are intact" if everything else "the backups are complete; --all also verifies their data")


@app.command("rehearse", example="appliance backup rehearse")
def rehearse(
    snapshot: Snapshot = "",
    as_json: AsJson = False,
) -> None:
    """Restore a backup next to the running site and verify it.

    Database and documents are compared with what was recorded at the time of the backup. The result is stored as
    a page of evidence. The exit code is 0 if the backup is reliable and 1 if not.
    """
    import sys

    from ecs_appliance.backup.rehearsal import SLICE
    from ecs_appliance.cli.progress import restic_progress
    from ecs_appliance.core.runner import SystemRunner
    from ecs_appliance.lifecycle import rehearsal
    from ecs_appliance.lifecycle.context import Context

    if not rehearsal.gives_way():
        # Everything it starts, such as a database server and a container, yields to the site, as under the unit.
        words = ["systemd-run", "--scope", "--quiet", "--collect", f"--slice={SLICE}", "--nice=19"]
        raise typer.Exit(SystemRunner().interact([*words, "/usr/local/bin/appliance", *sys.argv[1:]]))
    with restic_progress("rehearsing") as on_progress:
        evidence = rehearsal.run(Context(), snapshot=snapshot, on_progress=on_progress)
    if as_json:
        display.show(evidence.facts(), as_json=True)
        raise typer.Exit(0 if evidence.ok else 1)
    typer.echo(evidence.render())
    rehearsal.report(evidence)


@app.command("prune", example="appliance backup prune")
def prune(yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove the backups that retention does not keep.

    The keys appliance.backup.keep_* in env.yml set how many are kept. Without --yes, the command lists the backups to
    be removed and asks for confirmation. The nightly backup also removes them.
    """
    from ecs_appliance.lifecycle.backup import prune_backups
    from ecs_appliance.lifecycle.context import Context

    confirm.confirm(
        "this removes all backups that retention does not keep", yes=yes, show=_show_removable, quiet=as_json
    )
    removed = prune_backups(Context())
    if as_json:
        display.show({"removed": list(removed)}, as_json=True)
    else:
        typer.echo(f"{display.counted(len(removed), 'backup')} removed")


@app.command("unlock", example="appliance backup unlock")
def unlock() -> None:
    """Remove stale locks from the repository.

    A lock is stale if its process no longer runs. Each backup also removes stale locks.
    """
    from ecs_appliance.lifecycle.backup import open_repository
    from ecs_appliance.lifecycle.context import Context

    with open_repository(Context()) as repository:
        repository.unlock()
    typer.echo("no stale locks are left")


@app.command("stats", example="appliance backup stats")
def stats(as_json: AsJson = False) -> None:
    """Show the number of backups and their total size."""
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


@app.command("fetch", example="appliance backup fetch ecs-pgdump/ecs.pgdump.gz --output /root/ecs.pgdump.gz")
def fetch(
    file: Annotated[str, typer.Argument(metavar="PATH", help="Path of the file below /data.")],
    target: Annotated[Path | None, typer.Argument(metavar="FILE", hidden=True, help="Same as --output.")] = None,
    output: Output = None,
    snapshot: Snapshot = "",
    as_json: AsJson = False,
) -> None:
    """Copy one file out of a backup.

    An existing file is never overwritten.
    """
    from ecs_appliance.lifecycle.backup import fetch_file
    from ecs_appliance.lifecycle.context import Context

    if (target is None) == (output is None):
        raise typer.BadParameter("give exactly one file to write: --output FILE")
    written = output or target or Path()
    found = fetch_file(Context(), file, written, snapshot=snapshot)
    if as_json:
        display.show({"file": str(written), "backup": snapshot_data(found)}, as_json=True)
        return
    typer.echo(f"{written} is {file} of {found.time.astimezone():%Y-%m-%d %H:%M:%S}")


@app.command("restore-document", example="appliance backup restore-document 269f1c0a5d8e4b7f9c3d2e1f0a9b8c7d")
def restore_document(
    document: Annotated[str, typer.Argument(metavar="ID", help="ID of the document, as shown in the alert.")],
    snapshot: Snapshot = "",
    as_json: AsJson = False,
) -> None:
    """Restore one document from a backup.

    The newest backup that contains the document unchanged is used, unless --snapshot names another one.
    """
    from ecs_appliance.lifecycle import restore_document as work
    from ecs_appliance.lifecycle.context import Context

    done = work.restore_document(Context(), document, snapshot=snapshot)
    if as_json:
        answer = {"document": done.name, "was": done.was, "verified": done.verified}
        display.show({**answer, "backup": snapshot_data(done.snapshot)}, as_json=True)
        return
    taken = f"{done.snapshot.time.astimezone():%Y-%m-%d %H:%M:%S}"
    typer.echo(f"document {done.name} was {done.was} and is restored from backup {done.snapshot.short} of {taken}")
    if not done.verified:
        typer.echo("  → there is no record to verify it against: open it in the application")


@app.command("mount", example="appliance backup mount /mnt")
def mount(folder: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="An empty directory.")]) -> None:
    """Mount all backups read-only in a directory until Ctrl-C."""
    from ecs_appliance.lifecycle.backup_mount import mount_backups
    from ecs_appliance.lifecycle.context import Context

    hint = f"the backups are in {folder}/snapshots until you press Ctrl-C here"
    mount_backups(Context(), folder, ready=lambda: typer.echo(hint))


def _show_removable() -> None:
    from ecs_appliance.cli.table import show_table
    from ecs_appliance.lifecycle.backup import plan_prune
    from ecs_appliance.lifecycle.context import Context

    found = plan_prune(Context())
    if found:
        show_table(HEADINGS, [_row(snapshot) for snapshot in found])
    typer.echo(f"{display.counted(len(found), 'backup')} to be removed")


def _row(snapshot: "restic.Snapshot") -> tuple[str, str, str]:
    return snapshot.short, f"{snapshot.time.astimezone():%Y-%m-%d %H:%M:%S}", snapshot.host


def describe(snapshot: "restic.Snapshot") -> str:
    """Return the short ID of a backup with its time."""
    return f"{snapshot.short} of {snapshot.time.astimezone():%Y-%m-%d %H:%M:%S}"


def snapshot_data(snapshot: "restic.Snapshot") -> dict[str, object]:
    """Return a backup as --json prints it."""
    return {"id": snapshot.id, "taken": snapshot.time.isoformat(), "of": snapshot.host}
