"""What commands have in common: arguments, fields, times, and what is to be seen once only."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.log import is_journal
from ecs_appliance.core.text import printable

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="E-mail address of the user.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
FIELD_WIDTH = 12
TIMES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M")


def parse_time(text: str) -> datetime:
    """Return the local time that `text` names. Raises BadParameter that shows how to write one."""
    for form in TIMES:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise typer.BadParameter(f"{printable(text)} is not a time, such as '2030-05-17 12:00' or '2030-05-17 12:00:30'")


To = Annotated[
    datetime | None,
    typer.Option("--to", parser=parse_time, metavar="TIME", help="Go back to this local time: '2030-05-17 12:00'."),
]


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


def local(moment: datetime | None) -> str:
    """A moment in the machine's own time; nothing for None."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else ""


def counted(number: int, noun: str) -> str:
    """`1 user`, `2 users`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
