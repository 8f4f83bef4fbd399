"""appliance-failed@ and service-failed@: what failed is told where people look, with the next step."""

import logging

from ecs_appliance.host import systemd
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.crashes import forget_crashes, note_crash
from ecs_appliance.lifecycle.latch import latched
from ecs_appliance.lifecycle.standby import standing_by

log = logging.getLogger(__name__)

UNLATCH = "mend the cause, then: rm /run/appliance-failed; systemctl restart appliance"
RESTART = "mend the cause, then: systemctl restart appliance"


def tell_appliance_failed(context: Context, unit: str) -> None:
    """Show on the status page and in the journal that `unit` failed, and what to do next."""
    result = systemd.unit_properties(context.runner, unit, "Result").get("Result", "unknown")
    next_step = UNLATCH if latched(context.paths) else RESTART
    shown = context.page.shown()
    error = shown.error if shown and shown.kind == "failed" else ""
    context.page.fail(error or f"{unit} failed ({result})", next_step)
    log.error("%s failed (%s). journalctl -u %s tells why; %s", unit, result, unit, next_step)


def tell_service_failed(context: Context, unit: str) -> None:
    """Record in the journal, with the unit's last lines, that `unit` failed; the site is not touched."""
    result = systemd.unit_properties(context.runner, unit, "Result").get("Result", "unknown")
    log.error("%s failed (%s); its last lines:\n%s", unit, result, systemd.journal_tail(context.runner, unit))


def tell_stopped(context: Context, result: str) -> None:
    """The containers ended: after a stop (systemd's `result` is success) say so, else that they are started again."""
    if standing_by(context):
        return
    if result == "success":
        forget_crashes(context.paths)
        context.page.show("stopped", next_step="systemctl start appliance")
        return
    note_crash(context.paths)
    shown = context.page.shown()
    error = shown.error if shown else ""
    context.page.fail(error or f"the containers ended ({result})", "they are started again")
