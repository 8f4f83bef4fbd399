"""What the commands about people have in common: arguments, fields, tables, and what is to be seen once only."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import typer

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.log import is_journal
from ecs_appliance.core.text import printable

Email = Annotated[str, typer.Argument(help="Mail address of the user.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
# A table that goes into a pipe or a file is as wide as it has to be.
WIDEST = 10_000
FIELD_WIDTH = 12
# What a column takes at least, with the gap before it.
GAP, NARROWEST = 2, 6


def check_can_show_secret() -> None:
    """Raise RefusedError where what is printed would be kept by the journal, or by nobody."""
    again = "run it in a terminal: what it prints is shown once, and must not be kept"
    try:
        journal = is_journal(sys.stdout.fileno()) if sys.stdout else False
    except OSError:
        # Also io.UnsupportedOperation: a caller within this process reads along.
        journal = False
    if journal:
        raise RefusedError("standard output goes to the journal", again)
    if sys.stdout is None:
        raise RefusedError("standard output is closed", again)


def show(answer: Mapping[str, object], *, as_json: bool = False) -> None:
    """Print `answer` as a line a field, or as one JSON object."""
    if as_json:
        typer.echo(json.dumps({"ok": True, **answer}))
        return
    for name, value in answer.items():
        typer.echo(f"{name.replace('_', ' '):<{FIELD_WIDTH}} {value}")


def show_secret(answer: Mapping[str, object], *, as_json: bool, otherwise: ApplianceError) -> None:
    """`show` what cannot be had again; raises `otherwise` where nobody can have seen it."""
    try:
        show(answer, as_json=as_json)
    except OSError:
        # What could not be written must not be tried again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise otherwise from None


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, whole: int = 1) -> None:
    """Print `rows` below `headings`, aligned; in a terminal folded to its width.

    The first `whole` columns, which are typed or copied, are the last to be broken.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_edge=False, header_style="")
    width = None if sys.stdout.isatty() else WIDEST
    console = Console(width=width, color_system=None, highlight=False)
    left = console.width - NARROWEST * (len(headings) - whole)
    for number, heading in enumerate(headings):
        left -= max(len(heading), *(len(printable(row[number])) for row in rows)) + GAP
        table.add_column(heading, overflow="fold", no_wrap=number < whole and left >= 0)
    for row in rows:
        # Text, not str: no cell is markup. People's names come from the internet.
        table.add_row(*(Text(printable(cell)) for cell in row))
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def local(moment: datetime | None) -> str:
    """A moment in the machine's own time; nothing for None."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else ""


def counted(number: int, noun: str) -> str:
    """`1 user`, `2 users`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
