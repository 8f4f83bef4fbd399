"""Standby: the machine is configured and waits, with a page that says for what."""

from ecs_appliance.core.files import write_atomic
from ecs_appliance.host import systemd
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.status import Kind

STAGES = ("prepare-env.service", "prepare-appliance.service", "prepare-ecs.service")


def stand_by(context: Context, kind: Kind, *, next_step: str) -> None:
    """Stop here: the units after this one see the file and do not start, and the next start begins anew."""
    write_atomic(context.paths.run / "standby", f"{kind}\n", mode=0o644)
    context.page.show(kind, next_step=next_step)


def leave_standby(context: Context) -> None:
    """A start begins."""
    (context.paths.run / "standby").unlink(missing_ok=True)


def standing_by(context: Context) -> bool:
    """Whether a stage of this start asked to stop here."""
    return (context.paths.run / "standby").exists()


def end_stages(context: Context) -> None:
    """Let the stages count as not run, so that the next start of the appliance runs them again."""
    systemd.stop_later(context.runner, *STAGES)
