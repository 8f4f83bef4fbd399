"""Long tasks as named steps, reported to listeners such as a terminal, a status page or the journal."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Literal

log = logging.getLogger(__name__)

State = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class StepEvent:
    """A step began, ended or failed. `seconds` is its duration so far; `error` is the failure, for people."""

    name: str
    title: str
    state: State
    seconds: float = 0.0
    error: str = ""


Listener = Callable[[StepEvent], None]


@dataclass
class Steps:
    """Runs steps and notifies `listeners` of each; `seconds` holds the duration of each finished step, by name."""

    listeners: list[Listener] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, title: str = "") -> Iterator[None]:
        """Run the block as one step: `name` is for programs, `title` for people and by default the name."""
        title = title or name
        began = time.monotonic()
        self._tell(StepEvent(name, title, "running"))
        try:
            yield
        except BaseException as error:
            self._tell(StepEvent(name, title, "failed", time.monotonic() - began, str(error)))
            raise
        self.seconds[name] = round(time.monotonic() - began, 2)
        self._tell(StepEvent(name, title, "done", self.seconds[name]))

    def _tell(self, event: StepEvent) -> None:
        """Notify the listeners; if one fails, that must neither fail the step nor hide the step's own failure."""
        for listener in self.listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 # any failure
                log.warning("%s: a listener failed: %s", event.title, error)


def log_step(event: StepEvent) -> None:
    """Log a step; a listener."""
    if event.state == "running":
        log.info("%s …", event.title)
    elif event.state == "done":
        log.info("%s: done in %.1f s", event.title, event.seconds)


def logged(title: str) -> AbstractContextManager[None]:
    """Return a step that is only logged."""
    return Steps([log_step]).step(title)
