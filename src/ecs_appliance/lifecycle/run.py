"""appliance: the containers in the foreground, ready once the site answers, ended by a signal or a crash loop."""

import http.client
import logging
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from ecs_appliance.core.errors import ApplianceError, DeadlineError, GaveUpError
from ecs_appliance.core.runner import Process, end
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
from ecs_appliance.reporting.topics import UNIT

log = logging.getLogger(__name__)

UP_DEADLINE = 600
STOP_SECONDS = 90
POLL_SECONDS = 1.0
WATCH_SECONDS = 5.0
# A container that dies this often within the window will not come right by itself.
CRASHES = 6
CRASH_WINDOW = 300.0


class StopRequestedError(Exception):
    """systemd asked for the end."""


@dataclass
class CrashLoop:
    """Counts the restarts of each container within a window of seconds."""

    seen: dict[str, int] = field(default_factory=dict)
    crashes: dict[str, list[float]] = field(default_factory=dict)

    def note(self, restarts: Mapping[str, int], now: float) -> str | None:
        """Take note of the restart counts by container; returns the one that is in a crash loop, None without."""
        for name, count in restarts.items():
            fresh = max(0, count - self.seen.get(name, 0))
            recent = [when for when in self.crashes.get(name, []) if now - when <= CRASH_WINDOW]
            self.seen[name], self.crashes[name] = count, recent + [now] * fresh
        return next((name for name, when in self.crashes.items() if len(when) >= CRASHES), None)


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
            with _compose(context) as process:
                _come_up(context, env, process)
                _watch(context, process)
        except StopRequestedError:
            log.info("stopped")


def _prepare_again(context: Context) -> None:
    """Run the stages ourselves: after a standby systemd holds them for done, and what they waited for may be there."""
    for stage in (prepare_env, prepare_appliance, prepare_ecs):
        stage(context)
        if standing_by(context):
            return


def _come_up(context: Context, env: Env, process: Process) -> None:
    steps = context.steps()
    with steps.step("containers", "starting the application"):
        _wait_until_up(context, env.appliance.domain, process)
    report_confinement(context, docker.project_containers(context.runner, docker.PROJECT))
    _record(context)
    context.page.hide()
    context.alerts.tell((f"{UNIT}appliance.service", f"{UNIT}appliance.service:"), [])
    systemd.notify("READY=1\nSTATUS=the site is up")
    log.info("the site is up: https://%s/", env.appliance.domain)


def _wait_until_up(context: Context, domain: str, process: Process) -> None:
    deadline = time.monotonic() + UP_DEADLINE
    while True:
        _check_process(process)
        waiting = {
            c.name: c.health or c.status for c in docker.project_containers(context.runner, docker.PROJECT) if not c.up
        }
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


def _watch(context: Context, process: Process) -> None:
    loop = CrashLoop()
    while True:
        _check_process(process)
        containers = docker.project_containers(context.runner, docker.PROJECT)
        looping = loop.note({container.name: container.restarts for container in containers}, time.monotonic())
        if looping:
            raise ApplianceError(
                f"{looping} died {CRASHES} times within {CRASH_WINDOW:.0f} s", f"docker logs {looping} tells why"
            )
        ended = [container.name for container in containers if container.status == "exited"]
        if ended:
            raise ApplianceError(f"{', '.join(ended)} ended by itself", "journalctl -u appliance tells why")
        time.sleep(WATCH_SECONDS)


def _check_process(process: Process) -> None:
    code = process.poll()
    if code is not None:
        raise ApplianceError(f"docker compose ended by itself (exit code {code})", "journalctl -u appliance tells why")


def _record(context: Context) -> None:
    commit = context.tags.get("selected_ecs") or ""
    release = active_release(context.paths)
    image = docker.image_id(context.runner, f"ecs/ecs:{commit}")
    context.tags.set("last_running_ecs", commit)
    context.tags.set("last_running_ecs_image", image or "")
    context.tags.set("last_running_appliance", release.commit if release else "")
    context.tags.set("last_running_env", context.tags.get("selected_env") or "")


@contextmanager
def _compose(context: Context) -> Iterator[Process]:
    """docker compose up in the foreground; at the end the containers are stopped and removed.

    What a killed run left goes first: memcached must not remember what a former web put there, and a network that is
    there stays as an earlier release made it.
    """
    compose = ["docker", "compose", "--project-directory", str(context.paths.compose), "--ansi", "never"]
    compose += ["--file", str(context.paths.compose / "docker-compose.yml")]
    down = [*compose, "down", "--remove-orphans"]
    context.runner.run(down, timeout=STOP_SECONDS)
    process = context.runner.spawn([*compose, "up", "--no-build"], on_line=_log_line)
    try:
        yield process
    except StopRequestedError:
        end(process, grace=STOP_SECONDS)
        context.runner.run(down, timeout=STOP_SECONDS)
        raise
    finally:
        end(process, grace=STOP_SECONDS)


def _log_line(line: str) -> None:
    """compose leads each line with a terminal's "erase line", also where there is no terminal."""
    log.info("%s", line.replace("\x1b[2K", "").rstrip())


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
