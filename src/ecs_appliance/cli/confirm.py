"""How commands that cannot be undone are confirmed: by `--yes`, or by an answer on a terminal."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from ecs_appliance.core.errors import RefusedError

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
# How recover and rewind spelled it before.
Sure = Annotated[bool, typer.Option("--yes-i-am-sure", hidden=True, help="Another spelling of --yes.")]

CONFIRM = "confirm with --yes"


def can_ask() -> bool:
    """Return whether somebody sees a question and can answer it."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def ask(question: str) -> bool:
    """Ask `question` on the terminal and return whether the answer is yes; no is the default."""
    return typer.confirm(question, default=False, err=True)


def confirm(
    what: str, *, yes: bool, show: Callable[[], None] | None = None, hint: str = CONFIRM, quiet: bool = False
) -> None:
    """Return once `what`, a sentence, is confirmed.

    `yes` confirms. On a terminal `show` prints what would be done and a question follows. Raises RefusedError with
    `hint` where the answer is no, where nobody can be asked, and where output is for programs (`quiet`).
    """
    if yes:
        return
    if quiet or not can_ask():
        raise RefusedError(what, hint)
    if show is not None:
        show()
    typer.echo(f"{what[0].upper()}{what[1:]}.", err=True)
    if not ask("Continue?"):
        raise RefusedError("not confirmed: nothing was changed", hint)
