"""A long task as a sequence of named steps that listeners can show: a terminal, a status page, a report."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    def step(self, name: str, title: str) -> Iterator[None]:
        """One step: `name` for programs, `title` for people."""
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
        """Whoever listens is told; what fails there must not fail the step, or hide how it failed."""
        for listener in self.listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 # whatever it was
                log.warning("%s: a listener failed: %s", event.title, error)
