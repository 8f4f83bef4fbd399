"""Standby: the machine is configured and waits, with a page that says for what."""

from ecs_appliance.core.files import write_atomic
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.status import Kind

STAGES = ("prepare-env.service", "prepare-appliance.service", "prepare-ecs.service")


def stand_by(context: Context, kind: Kind, *, next_step: str) -> None:
    """Stop here: the stages after this one see the file and do not start."""
    write_atomic(context.paths.run / "standby", f"{kind}\n", mode=0o644)
    context.page.show(kind, next_step=next_step)


def leave_standby(context: Context) -> None:
    """The stages run anew."""
    for name in ("standby", "rested"):
        (context.paths.run / name).unlink(missing_ok=True)


def standing_by(context: Context) -> bool:
    """Whether a stage asked to stop here."""
    return (context.paths.run / "standby").exists()


def note_rest(context: Context) -> None:
    """The start that found the standby ends; systemd goes on to hold its stages for done."""
    write_atomic(context.paths.run / "rested", "", mode=0o644)


def has_rested(context: Context) -> bool:
    """Whether the standby is that of an earlier start, whose stages systemd did not run again for this one."""
    return (context.paths.run / "rested").exists()
