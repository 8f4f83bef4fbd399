"""Show progress: a line for each step that has ended, and on a terminal a spinner while it runs."""

from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from ecs_appliance.core.steps import StepEvent

if TYPE_CHECKING:
    from rich.progress import TaskID

TITLE_WIDTH = 46
NOTE_WIDTH = 100
SYMBOLS = {"done": "✓", "failed": "✗"}


class Progress(Protocol):
    """A listener to steps that also shows notes while a step runs."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __call__(self, event: StepEvent) -> None: ...
    def note(self, text: str) -> None: ...


def step_line(event: StepEvent) -> str:
    """Return the line for a step that has ended, with its duration aligned."""
    return f" {SYMBOLS[event.state]} {event.title:<{TITLE_WIDTH}} {duration(event.seconds):>8}"


def duration(seconds: float) -> str:
    """Return a readable duration: 0.4 s, 35 s, 2 min 05 s."""
    if seconds < 10:  # noqa: PLR2004 # tenths matter
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"  # noqa: PLR2004 # a minute


class PlainProgress:
    """Progress for logs: a line for each step that has ended, preceded by its notes, indented."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()

    def __call__(self, event: StepEvent) -> None:
        if event.state != "running":
            self._write(step_line(event))

    def note(self, text: str) -> None:
        """Show a line about what the step is doing, unless it was shown last."""
        if text.strip() and text != self._last:
            self._last = text
            self._write(f"     {text.rstrip()}")

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


class Spinner:
    """Progress for a terminal: a spinner for the running step, with its duration and last note."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 # slow to import
        from rich.progress import Progress as Bar  # noqa: PLC0415
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._console = Console(file=stream, highlight=False)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
        )
        self._bar = Bar(*columns, console=self._console, transient=True)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, event: StepEvent) -> None:
        if event.state == "running":
            self._task = self._bar.add_task(event.title, total=None, note="")
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        style = "red" if event.state == "failed" else None
        self._console.print(step_line(event), style=style, markup=False)

    def note(self, text: str) -> None:
        """Show a line about what the running step is doing, in place of the last one."""
        if self._task is not None and text.strip():
            self._bar.update(self._task, note=text.strip()[:NOTE_WIDTH])
