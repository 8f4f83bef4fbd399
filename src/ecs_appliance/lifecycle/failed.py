"""appliance-failed@ and service-failed@: report what failed where people look, with the next step."""

import logging

from ecs_appliance.core.text import telling_line
from ecs_appliance.host import systemd
from ecs_appliance.lifecycle.boundary import is_reported
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.crash_count import forget_crashes, note_crash
from ecs_appliance.lifecycle.latch import latched
from ecs_appliance.lifecycle.standby import standing_by
from ecs_appliance.reporting.topics import UNIT

log = logging.getLogger(__name__)

UNLATCH = "fix the cause, then: rm /run/appliance-failed; systemctl restart appliance"
RESTART = "fix the cause, then: systemctl restart appliance"


def tell_appliance_failed(context: Context, unit: str) -> None:
    """Report on the status page, as an alert and in the journal that `unit` failed, and what to do next."""
    next_step = UNLATCH if latched(context.paths) else RESTART
    reason = _reason(context, unit)
    _alert(context, unit, reason, next_step)
    shown = context.page.shown()
    error, hint = (shown.error, shown.next) if shown and shown.kind == "failed" else ("", "")
    # The process's own hint comes first.
    steps = hint if next_step in hint else f"{hint}; {next_step}".removeprefix("; ")
    context.page.fail(error or f"{unit} failed: {reason}", steps)
    log.error("%s failed: %s. journalctl -u %s shows more; %s", unit, reason, unit, next_step)


def tell_service_failed(context: Context, unit: str) -> None:
    """Report as an alert and in the journal that `unit` failed; the site is not touched."""
    reason = _reason(context, unit)
    _alert(context, unit, reason, f"journalctl -u {unit}; then: systemctl restart {unit}")
    log.error("%s failed: %s; its last lines:\n%s", unit, reason, systemd.journal_tail(context.runner, unit))


def _alert(context: Context, unit: str, reason: str, next_step: str) -> None:
    """Raise an alert, unless the process reported its failure itself, with more detail than systemd knows."""
    # systemctl accepts a service without its suffix; the topic of the alert has it.
    unit = unit if "." in unit else f"{unit}.service"
    if not context.alerts.stands(f"{UNIT}{unit}") and not is_reported(context, unit):
        context.alerts.put(f"{UNIT}{unit}", "critical", f"{unit} failed: {reason}", next_step)


def _reason(context: Context, unit: str) -> str:
    """Return how `unit` ended and the line of its journal that explains it."""
    known = systemd.unit_properties(context.runner, unit, "Result", "AssertResult")
    if known.get("AssertResult") == "no":
        return "the latch /run/appliance-failed is set"
    result = known.get("Result", "unknown")
    if result == "success":
        result = "a unit that it depends on failed"
    line = telling_line(systemd.journal_tail(context.runner, unit, own=True).splitlines())
    return f"{result}: {line}" if line else result


def tell_stopped(context: Context, result: str) -> None:
    """Show on the status page that the containers were stopped (systemd's `result` is success) or are restarting."""
    if standing_by(context):
        return
    if result == "success":
        forget_crashes(context.paths)
        context.page.show("stopped", next_step="systemctl start appliance")
        return
    note_crash(context.paths)
    shown = context.page.shown()
    error = shown.error if shown else ""
    context.page.fail(error or f"the containers stopped ({result})", "they will be restarted automatically")
