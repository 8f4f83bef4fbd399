"""Steps as lines of the journal."""

import logging

from ecs_appliance.core.steps import StepEvent

log = logging.getLogger(__name__)


def log_step(event: StepEvent) -> None:
    """A listener of steps."""
    if event.state == "running":
        log.info("%s …", event.title)
    elif event.state == "done":
        log.info("%s: done in %.1f s", event.title, event.seconds)
