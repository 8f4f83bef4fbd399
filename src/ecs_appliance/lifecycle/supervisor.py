"""Supervise the running containers: recreate those that exit, after growing delays; only web can end the site."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import NoReturn

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import Process, ProcessError, end
from ecs_appliance.host import docker
from ecs_appliance.host.docker import Container
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.alerts import Finding

log = logging.getLogger(__name__)

TOPIC = "container:"
HINT = "journalctl -u appliance shows why; it is restarted at least once a minute"
STOP_SECONDS = 90
START_SECONDS = 60
# How often to check if docker reports no exit.
WATCH_SECONDS = 5.0
# Delays before a restart. The first leaves time for a manual `docker restart`, which does not count as an exit.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
# A container that has been up this long is healthy; its next exit counts as the first in a row.
WELL_SECONDS = 180.0
# Exits in a row that make a loop.
LOOP = 2
WEB = "ecs.web"
# Exits of web in a row that end the site.
LIMIT = 6
# The application caches names of files in web's container there, so memcached is recreated along with web.
BESIDE_WEB = "memcached"


class StopRequestedError(Exception):
    """systemd requested a stop."""


@dataclass
class Course:
    """The history of one container: up since `up`, exits in a row, next restart `due` (None while it is up).

    Times are monotonic seconds. `refused`: docker failed to start it last time.
    """

    name: str
    service: str
    up: float
    ends: int = 0
    due: float | None = None
    refused: bool = False
    reason: str = ""

    def note(self, container: Container | None, now: float) -> None:
        """Record its state at `now`; None if it does not exist."""
        if not self._down(container):
            self.refused = False
            if self.due is not None:  # started manually
                self.up, self.due, self.ends = now, None, self.ends - 1
            if now - self.up >= WELL_SECONDS:
                self.ends = 0
        elif self.due is None:
            self.ends += 1
            self.due = now + min(FIRST_PAUSE * 2 ** (self.ends - 1), LONGEST_PAUSE)
            code = f"exit code {container.exit_code}" if container else "removed"
            self.reason = "docker could not start it" if self.refused else code

    def started(self, now: float) -> None:
        """Record a restart at `now`: if the next check finds it down, that is another exit."""
        self.up, self.due = now, None

    def _down(self, container: Container | None) -> bool:
        # One that docker could not start stays "created". So does, before its first exit, one that waits for others.
        created = container is not None and container.status == "created" and self.ends > 0
        return container is None or container.status in ("exited", "dead") or created

    @property
    def looping(self) -> bool:
        return self.ends >= LOOP

    def finding(self) -> Finding:
        """Return the finding to report while it is looping."""
        return Finding(TOPIC + self.name, "warning", f"{self.name} keeps exiting ({self.reason})", HINT)


@dataclass
class Restarts:
    """Which containers to restart, and when."""

    courses: dict[str, Course] = field(default_factory=dict)

    def note(self, containers: Iterable[Container], now: float) -> None:
        """Record the state of all containers at `now`; one that has disappeared counts as exited."""
        found = {container.name: container for container in containers}
        for name, container in found.items():
            self.courses.setdefault(name, Course(name, container.service, up=now))
        for name, course in self.courses.items():
            course.note(found.get(name), now)

    def take_due(self, now: float) -> list[Course]:
        """Return those to restart at `now`, and record them as started."""
        due = [course for course in self.courses.values() if course.due is not None and course.due <= now]
        for course in due:
            course.started(now)
        return due

    def pause(self, now: float) -> float:
        """Return the seconds until the next check."""
        due = [course.due for course in self.courses.values() if course.due is not None]
        return max(0.0, min([now + WATCH_SECONDS, *due]) - now)

    def looping(self) -> dict[str, Course]:
        """Return those that do not stay up, by name."""
        return {name: course for name, course in self.courses.items() if course.looping}


class Supervisor:
    """Supervises the containers started by `docker compose up`, which is `process`.

    `ended` is set when one has exited; `clock` returns monotonic seconds.
    """

    def __init__(
        self,
        context: Context,
        compose: list[str],
        process: Process,
        ended: Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        self._compose = compose
        self._process = process
        self._ended = ended
        self._clock = clock
        self._restarts = Restarts()

    def look(self) -> list[Container]:
        """Restart what is due; return the containers without those that do not stay up (web is always included).

        Raises ApplianceError if docker compose has exited.
        """
        code = self._process.poll()
        if code is not None:
            raise ApplianceError(
                f"docker compose exited unexpectedly (exit code {code})", "journalctl -u appliance shows why"
            )
        containers = docker.project_containers(self._context.runner, docker.PROJECT)
        now = self._clock()
        self._restarts.note(containers, now)
        looping = self._restarts.looping()
        self._context.alerts.tell([TOPIC], [course.finding() for course in looping.values()])
        due = [course.service for course in self._restarts.take_due(now)]
        if due:
            self._start([*due, BESIDE_WEB] if WEB in due else due)
        return [each for each in containers if each.service == WEB or each.name not in looping]

    def watch(self) -> NoReturn:
        """Check at once when docker reports an exit, and every few seconds. Also raises ApplianceError if web loops."""
        while True:
            self._ended.clear()
            self.look()
            for course in self._restarts.courses.values():
                if course.service == WEB and course.ends >= LIMIT:
                    raise ApplianceError(
                        f"{course.name} exited {course.ends} times in a row ({course.reason})",
                        "journalctl -u appliance shows why",
                    )
            self._ended.wait(self._restarts.pause(self._clock()))

    def _start(self, services: Iterable[str]) -> None:
        """Recreate the containers of `services`: leftovers of a killed one may prevent its next start."""
        wanted = sorted(set(services))
        log.info("restarting: %s", ", ".join(wanted))
        courses = [course for course in self._restarts.courses.values() if course.service in wanted]
        refused = False
        try:
            for course in courses:
                docker.remove_container(self._context.runner, course.name)
            up = [*self._compose, "up", "--detach", "--no-build", "--no-deps", *wanted]
            self._context.runner.run(up, timeout=START_SECONDS)
        except ProcessError as error:
            # The next check finds them down, which counts as another exit.
            refused = True
            log.error("%s could not be started: %s", ", ".join(wanted), error.message)
        for course in courses:
            course.refused = refused


@contextmanager
def supervised(context: Context) -> Iterator[Supervisor]:
    """Run docker compose up, supervised; at the end stop the containers, and after a requested stop remove them.

    Leftovers of a killed run are removed first: memcached must not keep what an earlier web stored, and compose would
    reuse a network of an earlier release. Anonymous volumes are removed with their containers; all others are folders.
    """
    compose = ["docker", "compose", "--project-directory", str(context.paths.compose), "--ansi", "never"]
    compose += ["--file", str(context.paths.compose / "docker-compose.yml")]
    down = [*compose, "down", "--remove-orphans", "--volumes"]
    context.runner.run(down, timeout=STOP_SECONDS)
    ended = Event()
    ends = docker.follow_ends(context.runner, docker.PROJECT, lambda _: ended.set())
    process = context.runner.spawn([*compose, "up", "--no-build"], on_line=_log_line)
    try:
        yield Supervisor(context, compose, process, ended)
    except StopRequestedError:
        end(process, grace=STOP_SECONDS)
        context.runner.run(down, timeout=STOP_SECONDS)
        context.alerts.tell([TOPIC], [])
        raise
    finally:
        end(ends, grace=0)
        end(process, grace=STOP_SECONDS)


def _log_line(line: str) -> None:
    """Log a line without the "erase line" sequence that compose writes even without a terminal."""
    log.info("%s", line.replace("\x1b[2K", "").rstrip())
