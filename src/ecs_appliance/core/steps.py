"""A long task as a sequence of named steps that listeners can show: a terminal, a status page, the journal."""

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
    """A step began, ended or failed. `seconds` is how long it has taken so far; `error` what failed, for people."""

    name: str
    title: str
    state: State
    seconds: float = 0.0
    error: str = ""


Listener = Callable[[StepEvent], None]


@dataclass
class Steps:
    """Runs steps and tells `listeners` of each; `seconds` keeps how long each took."""

    listeners: list[Listener] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, title: str = "") -> Iterator[None]:
        """One step: `name` for programs, `title` for people; by default the name is for both."""
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
        """Notify the listeners; one that fails must not fail the step, or hide how it failed."""
        for listener in self.listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 # whatever it was
                log.warning("%s: a listener failed: %s", event.title, error)


def log_step(event: StepEvent) -> None:
    """Write a step to the journal; a listener of steps."""
    if event.state == "running":
        log.info("%s …", event.title)
    elif event.state == "done":
        log.info("%s: done in %.1f s", event.title, event.seconds)


def logged(title: str) -> AbstractContextManager[None]:
    """Return a step that only the journal tells of."""
    return Steps([log_step]).step(title)
