"""Progress of a running command; shown only if standard error is a terminal."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """Show `title` with a spinner and the elapsed time until the work ends.

    Yield a function that replaces the title with the current step.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    import logging

    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    # A title may contain a file name, whose brackets are not markup.
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as shown:
        task = shown.add_task(title)
        with _lines_above(logging.getLogger("ecs_appliance").handlers):
            yield lambda step: shown.update(task, description=step)


@contextmanager
def restic_progress(title: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Show `progress` with the percentage that restic reports. Yield a function that takes restic's messages."""
    with progress(title) as step:
        yield lambda message: step(describe(title, message))


def describe(title: str, message: Mapping[str, Any]) -> str:
    """Return `title` with the percentage in a message from restic; its last messages have none."""
    done = message.get("percent_done")
    return f"{title}: {float(done):.0%}" if done else title


@contextmanager
def _lines_above(handlers: "list[Any]") -> Iterator[None]:
    """Print log lines above the spinner: rich replaces standard error, but the handlers still hold the original."""
    former = [(handler, handler.stream) for handler in handlers if getattr(handler, "stream", None) is not None]
    for handler, _ in former:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler, stream in former:
            handler.setStream(stream)
