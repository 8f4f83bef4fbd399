"""What commands share: parameters, and the output of fields, times and secrets that are shown only once."""

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
    """Return the local time in `text`. Raise BadParameter, which shows how to write a time, if it is not one."""
    for form in TIMES:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise typer.BadParameter(f"{printable(text)} is not a time like '2030-05-17 12:00' or '2030-05-17 12:00:30'")


To = Annotated[
    datetime | None,
    typer.Option(
        "--to", parser=parse_time, metavar="TIME", help="Go back to this local time, such as '2030-05-17 12:00'."
    ),
]


def check_can_show_secret() -> None:
    """Raise RefusedError if a printed secret would be stored in the journal, or lost."""
    again = "run it in a terminal: its output is shown only once and must not be stored"
    try:
        journal = is_journal(sys.stdout.fileno()) if sys.stdout else False
    except OSError:
        # Includes io.UnsupportedOperation, if a caller in this process captures the output.
        journal = False
    if journal:
        raise RefusedError("standard output goes to the journal", again)
    if sys.stdout is None:
        raise RefusedError("standard output is closed", again)


def show(answer: Mapping[str, object], *, as_json: bool = False) -> None:
    """Print `answer` with one line per field, or as one JSON object."""
    if as_json:
        typer.echo(json.dumps({"ok": True, **answer}))
        return
    for name, value in answer.items():
        typer.echo(f"{name.replace('_', ' '):<{FIELD_WIDTH}} {value}")


def show_secret(answer: Mapping[str, object], *, as_json: bool, otherwise: ApplianceError) -> None:
    """`show` a secret that cannot be retrieved later; raise `otherwise` if it cannot have been seen."""
    try:
        show(answer, as_json=as_json)
    except OSError:
        # Python would try to write the rest again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise otherwise from None


def local(moment: datetime | None) -> str:
    """Return `moment` in the machine's time zone, an empty string for None."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else ""


def counted(number: int, noun: str) -> str:
    """Return the number with its noun: `1 user`, `2 users`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
