"""What a terminal shows while a command works; nothing where standard error is none."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """Show `title` beside a spinner and the time that has passed, until the work ends.

    Yields what replaces the title by the step at hand.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    import logging

    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    # A file's name is no markup.
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as shown:
        task = shown.add_task(title)
        with _lines_above(logging.getLogger("ecs_appliance").handlers):
            yield lambda step: shown.update(task, description=step)


@contextmanager
def restic_progress(title: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Show `progress` with the percentage that restic reports. Yields what takes the messages of restic."""
    with progress(title) as step:
        yield lambda message: step(describe(title, message))


def describe(title: str, message: Mapping[str, Any]) -> str:
    """Return `title` with the percentage of a message of restic's, if it has one: those at its end have none."""
    done = message.get("percent_done")
    return f"{title}: {float(done):.0%}" if done else title


@contextmanager
def _lines_above(handlers: "list[Any]") -> Iterator[None]:
    """Have what is logged printed above the spinner: rich replaces standard error, the log has the former."""
    former = [(handler, handler.stream) for handler in handlers if getattr(handler, "stream", None) is not None]
    for handler, _ in former:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler, stream in former:
            handler.setStream(stream)
