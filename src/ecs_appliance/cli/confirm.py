"""Confirmation of commands that cannot be undone: `--yes`, or an answer on a terminal."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from ecs_appliance.core.errors import RefusedError

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
# The spelling in earlier releases of recover and rewind.
Sure = Annotated[bool, typer.Option("--yes-i-am-sure", hidden=True, help="Same as --yes.")]

CONFIRM = "confirm with --yes"


def can_ask() -> bool:
    """Return whether a question can be shown and answered, which takes a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def ask(question: str) -> bool:
    """Ask `question` on the terminal and return whether the answer is yes; the default is no."""
    return typer.confirm(question, default=False, err=True)


def confirm(
    what: str, *, yes: bool, show: Callable[[], None] | None = None, hint: str = CONFIRM, quiet: bool = False
) -> None:
    """Return if `what`, a sentence, is confirmed: by `yes`, or by the answer to a question on the terminal.

    Before the question, `show` prints what would be done. Raise RefusedError if the answer is no or,
    with `hint`, if there is no terminal or the output is for programs (`quiet`).
    """
    if yes:
        return
    if quiet or not can_ask():
        raise RefusedError(f"not confirmed, so nothing was changed: {what}", hint)
    if show is not None:
        show()
    typer.echo(f"{what[0].upper()}{what[1:]}.", err=True)
    if not ask("Continue?"):
        raise RefusedError("not confirmed: nothing was changed")
