"""The error boundary of all units: every failure results in latch, alert, status page, log and exit code."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

from ecs_appliance.core.errors import ApplianceError, ExitCode, as_failure
from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.host import systemd
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.latch import latch
from ecs_appliance.reporting.topics import UNIT

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """The work of `unit`. If `away`, a failure means that the site is down; systemd retries it at most `retries` times.

    Without `retries`, the unit file alone decides about restarts; crashes of the site: lifecycle.crash_count.
    """

    unit: str
    away: bool = False
    retries: int | None = None


STAGES = {
    "prepare-env": Stage("prepare-env.service", away=True),
    "prepare-appliance": Stage("prepare-appliance.service", away=True, retries=2),
    "prepare-ecs": Stage("prepare-ecs.service", away=True, retries=2),
    "run": Stage("appliance.service", away=True),
    "reload": Stage("appliance.service:reload"),
    "stopped": Stage("appliance.service:stopped"),
    "cleanup": Stage("appliance-cleanup.service"),
    "failed": Stage("appliance-failed@.service"),
    "service-failed": Stage("service-failed@.service"),
    "update": Stage("appliance-update.service"),
    "client-ca": Stage("watch-ecs-ca.service"),
    "certificate": Stage("appliance-certificate.service"),
    "check": Stage("appliance-check.service"),
    "firewall": Stage("appliance-firewall.service"),
    "names": Stage("appliance-names.service"),
    "volumes": Stage("appliance-volumes.service"),
    "backup": Stage("appliance-backup.service"),
    "backup-frequent": Stage("appliance-backup-frequent.service"),
    "rehearsal": Stage("appliance-rehearsal.service"),
    "rehearsal-clear": Stage("appliance-rehearsal.service:clear"),
    "install": Stage("install"),
}


def run_stage(context: Context, name: str, work: Callable[[Context], object]) -> None:
    """Do the `work` of the stage `name`; report any failure, then raise it as ApplianceError."""
    stage = STAGES[name]
    try:
        work(context)
    except Exception as error:  # noqa: BLE001 # this is the boundary
        raise settle(context, stage, error) from None
    context.alerts.clear(f"{UNIT}{stage.unit}")


def settle(context: Context, stage: Stage, error: Exception) -> ApplianceError:
    """Latch, raise the alert and update the status page as `error` requires; return it with its exit code.

    Latch and exit code keep systemd from retrying what must not be retried, so the latch comes first, and a failure
    of any of these steps does not prevent the next.
    """
    failure = as_failure(error)
    if failure is not error:
        log.error("unexpected", exc_info=error)
    if failure.latches:
        _attempt(lambda: latch(context.paths, failure.summary), "the latch")
    if failure.alerted:
        _attempt(lambda: _note_reported(context, stage.unit), "the note of an alert")
    else:
        what = stage.unit.partition(".service")[0]
        _attempt(lambda: context.alerts.put_failure(f"{UNIT}{stage.unit}", "critical", what, failure), "the alert")
    if stage.away:
        _attempt(lambda: context.page.fail(failure.message, failure.hint), "the status page")
    if failure.latches or _is_exhausted(context, stage):
        failure.exit_code = ExitCode.GAVE_UP
    return failure


def _note_reported(context: Context, unit: str) -> None:
    write_atomic(context.paths.run / "reported" / unit, os.environ.get("INVOCATION_ID", ""), mode=0o644)


def is_reported(context: Context, unit: str) -> bool:
    """Return whether another alert already explains the last failure of `unit`."""
    noted = read_optional(context.paths.run / "reported" / unit)
    known = systemd.unit_properties(context.runner, unit, "InvocationID").get("InvocationID")
    return bool(noted) and noted == known


def _is_exhausted(context: Context, stage: Stage) -> bool:
    """Return whether systemd has used up the retries of `stage`; True if that is unknown."""
    if stage.retries is None:
        return False
    try:
        said = systemd.unit_properties(context.runner, stage.unit, "NRestarts").get("NRestarts")
        return int(said or 0) >= stage.retries
    except (ApplianceError, ValueError) as error:
        log.error("it is unknown how often %s was retried: %s", stage.unit, error)
        return True


def _attempt(step: Callable[[], None], what: str) -> None:
    try:
        step()
    except Exception:
        log.exception("%s could not be written", what)
