"""appliance: the containers in the foreground, ready once the site answers, ended by a signal or a loop of web."""

import http.client
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ecs_appliance.core.errors import DeadlineError, GaveUpError
from ecs_appliance.env.model import Env
from ecs_appliance.host import docker, systemd
from ecs_appliance.lifecycle.confinement import report_confinement
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.crashes import forget_crashes, too_many_crashes
from ecs_appliance.lifecycle.prepare_appliance import prepare_appliance
from ecs_appliance.lifecycle.prepare_ecs import prepare_ecs
from ecs_appliance.lifecycle.prepare_env import active_env, prepare_env
from ecs_appliance.lifecycle.probe import ask_application
from ecs_appliance.lifecycle.release import active_release
from ecs_appliance.lifecycle.standby import has_rested, note_rest, standing_by
from ecs_appliance.lifecycle.supervisor import StopRequestedError, Supervisor, supervised
from ecs_appliance.reporting.topics import UNIT

log = logging.getLogger(__name__)

UP_DEADLINE = 600
POLL_SECONDS = 1.0


def run(context: Context) -> None:
    """Run the containers until systemd asks for the end; raises ApplianceError where they end by themselves."""
    if has_rested(context):
        _prepare_again(context)
    if standing_by(context):
        note_rest(context)
        systemd.notify("READY=1\nSTATUS=standing by")
        # Whoever starts it now again waits for our end; an active unit would not start anew.
        systemd.notify("STOPPING=1")
        return
    if too_many_crashes(context.paths):
        forget_crashes(context.paths)
        raise GaveUpError("the appliance has crashed too often", "journalctl -u appliance tells why")
    env = active_env(context)
    with _stop_signals():
        try:
            with supervised(context) as supervisor:
                _come_up(context, env, supervisor)
                supervisor.watch()
        except StopRequestedError:
            log.info("stopped")


def _prepare_again(context: Context) -> None:
    """Run the stages ourselves: after a standby systemd holds them for done, and what they waited for may be there."""
    for stage in (prepare_env, prepare_appliance, prepare_ecs):
        stage(context)
        if standing_by(context):
            return


def _come_up(context: Context, env: Env, supervisor: Supervisor) -> None:
    steps = context.steps()
    with steps.step("containers", "starting the application"):
        _wait_until_up(env.appliance.domain, supervisor)
    report_confinement(context, supervisor.look())
    _record(context)
    context.page.hide()
    context.alerts.tell((f"{UNIT}appliance.service", f"{UNIT}appliance.service:"), [])
    systemd.notify("READY=1\nSTATUS=the site is up")
    log.info("the site is up: https://%s/", env.appliance.domain)


def _wait_until_up(domain: str, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + UP_DEADLINE
    while True:
        waiting = {c.name: c.health or c.status for c in supervisor.look() if not c.up}
        status = ask_application(domain)
        if status == http.client.OK and not waiting:
            return
        if status == http.client.BAD_REQUEST:
            raise GaveUpError(
                f"the application refuses requests for {domain} (HTTP status 400): it is not in its ALLOWED_HOSTS",
                "correct appliance.domain, or ALLOWED_HOSTS in ecs.settings; then: systemctl start appliance-update",
            )
        if time.monotonic() > deadline:
            states = (
                ", ".join(f"{name} is {state}" for name, state in waiting.items()) or "the login page does not answer"
            )
            raise DeadlineError(f"the site did not come up within {UP_DEADLINE} s: {states}", "journalctl -u appliance")
        time.sleep(POLL_SECONDS)


def _record(context: Context) -> None:
    commit = context.tags.get("selected_ecs") or ""
    release = active_release(context.paths)
    image = docker.image_id(context.runner, f"ecs/ecs:{commit}")
    context.tags.set("last_running_ecs", commit)
    context.tags.set("last_running_ecs_image", image or "")
    context.tags.set("last_running_appliance", release.commit if release else "")
    context.tags.set("last_running_env", context.tags.get("selected_env") or "")


@contextmanager
def _stop_signals() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise StopRequestedError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
