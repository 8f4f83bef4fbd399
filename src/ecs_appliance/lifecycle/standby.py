"""Standby: the machine is configured but the site does not run on purpose; the status page says why."""

from ecs_appliance.core.files import write_atomic
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.status import Kind

STAGES = ("prepare-env.service", "prepare-appliance.service", "prepare-ecs.service")


def stand_by(context: Context, kind: Kind, *, next_step: str) -> None:
    """Enter standby: show `kind` and `next_step` on the status page; later stages do not start."""
    write_atomic(context.paths.run / "standby", f"{kind}\n", mode=0o644)
    context.page.show(kind, next_step=next_step)


def leave_standby(context: Context) -> None:
    """Clear an earlier standby, as the stages run again."""
    for name in ("standby", "rested"):
        (context.paths.run / name).unlink(missing_ok=True)


def standing_by(context: Context) -> bool:
    """Return whether a stage has entered standby."""
    return (context.paths.run / "standby").exists()


def note_rest(context: Context) -> None:
    """Note that a start has ended in standby; systemd still considers its stages done."""
    write_atomic(context.paths.run / "rested", "", mode=0o644)


def has_rested(context: Context) -> bool:
    """Return whether the standby is from an earlier start, whose stages systemd did not run again for this one."""
    return (context.paths.run / "rested").exists()
