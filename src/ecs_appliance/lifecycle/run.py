"""appliance: run the containers in the foreground; ready once the site answers, ends by a signal or if web loops."""

import http.client
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from ecs_appliance.core.errors import ApplianceError, DeadlineError, GaveUpError
from ecs_appliance.core.locks import locked
from ecs_appliance.env.model import Env
from ecs_appliance.host import docker, systemd
from ecs_appliance.host.docker import Container
from ecs_appliance.lifecycle.apparmor import report_confinement
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.crash_count import forget_crashes, too_many_crashes
from ecs_appliance.lifecycle.prepare_appliance import LOCK_WAIT, prepare_appliance
from ecs_appliance.lifecycle.prepare_ecs import prepare_ecs, remove_leftovers, select_images, start_before
from ecs_appliance.lifecycle.prepare_env import active_env, prepare_env
from ecs_appliance.lifecycle.probe import ask_application
from ecs_appliance.lifecycle.release import active_release
from ecs_appliance.lifecycle.rollback import clear_bad, note_running, roll_back, stuck, trial_seconds, version_before
from ecs_appliance.lifecycle.standby import has_rested, note_rest, standing_by
from ecs_appliance.lifecycle.supervisor import StopRequestedError, Supervisor, supervised
from ecs_appliance.reporting.topics import UNIT

log = logging.getLogger(__name__)

UP_SECONDS = 600.0
POLL_SECONDS = 1.0


class NotUpError(Exception):
    """The site did not come up, for `reason`."""

    def __init__(self, reason: ApplianceError) -> None:
        super().__init__(reason.message)
        self.reason = reason


def run(context: Context) -> None:
    """Run the containers until systemd requests a stop. Raises ApplianceError if they end on their own."""
    if has_rested(context):
        _prepare_again(context)
    if standing_by(context):
        note_rest(context)
        systemd.notify("READY=1\nSTATUS=standing by")
        # A start requested from now on waits for this process to end; on an active unit it would have no effect.
        systemd.notify("STOPPING=1")
        return
    if too_many_crashes(context.paths):
        forget_crashes(context.paths)
        raise GaveUpError("the appliance has crashed too often", "journalctl -u appliance shows why")
    env = active_env(context)
    with _stop_signals():
        try:
            _serve(context, env)
        except StopRequestedError:
            log.info("stopped")


def _serve(context: Context, env: Env) -> NoReturn:
    """Run the prepared version or, if that is new and does not come up, roll back to the previous one."""
    commit = context.tags.get("selected_ecs") or ""
    before = version_before(context, env, commit)
    try:
        _run_containers(context, env, trial_seconds(context) if before else UP_SECONDS)
    except NotUpError as failed:
        if before is None:
            raise stuck(context, env, commit, failed.reason) from None
        roll_back(context, commit, before, failed.reason)
    try:
        with locked(context.paths.lock, "roll back to the previous version", wait=LOCK_WAIT):
            remove_leftovers(context)
            start_before(context, env, before)
            select_images(context, before)
        _run_containers(context, env, UP_SECONDS)
    except NotUpError as failed:
        # Neither comes up, so the new version is not the cause.
        clear_bad(context)
        raise failed.reason from None


def _run_containers(context: Context, env: Env, seconds: float) -> NoReturn:
    """Run the containers of the selected version. Raises NotUpError if the site is not up after `seconds`."""
    with supervised(context) as supervisor:
        try:
            with context.steps().step("containers", "starting the application"):
                _wait_until_up(env.appliance.domain, supervisor, seconds)
        except ApplianceError as error:
            raise NotUpError(error) from None
        _tell_up(context, env, supervisor.look())
        supervisor.watch()


def _prepare_again(context: Context) -> None:
    """Run the stages ourselves: after a standby systemd considers them done, but what was missing may be there now."""
    for stage in (prepare_env, prepare_appliance, prepare_ecs):
        stage(context)
        if standing_by(context):
            return


def _tell_up(context: Context, env: Env, containers: list[Container]) -> None:
    """Record and announce that the site is up."""
    report_confinement(context, containers)
    _record(context, env)
    context.page.hide()
    context.alerts.tell((f"{UNIT}appliance.service", f"{UNIT}appliance.service:"), [])
    systemd.notify("READY=1\nSTATUS=the site is up")
    log.info("the site is up: https://%s/", env.appliance.domain)


def _wait_until_up(domain: str, supervisor: Supervisor, seconds: float) -> None:
    deadline = time.monotonic() + seconds
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
            raise DeadlineError(f"the site did not come up within {seconds:g} s: {states}", "journalctl -u appliance")
        time.sleep(POLL_SECONDS)


def _record(context: Context, env: Env) -> None:
    commit = context.tags.get("selected_ecs") or ""
    release = active_release(context.paths)
    image = docker.image_id(context.runner, f"ecs/ecs:{commit}")
    note_running(context, env, commit)
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
