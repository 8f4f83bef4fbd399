"""The running containers: what ends is made anew, after growing pauses; a loop of web alone ends the site."""

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
HINT = "journalctl -u appliance tells why; it is started again at least once a minute"
STOP_SECONDS = 90
START_SECONDS = 60
# How often to look where docker tells of no end.
WATCH_SECONDS = 5.0
# The first leaves time to a `docker restart` by hand, which is no end.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
# Up for so long, a container is well, and its next end the first of a row.
WELL_SECONDS = 180.0
# Ends in a row that are a loop.
LOOP = 2
WEB = "ecs.web"
# Ends of web in a row that end the site.
LIMIT = 6
# The application keeps names of files in web's container there: it has to forget them with it.
BESIDE_WEB = "memcached"


class StopRequestedError(Exception):
    """systemd asked for the end."""


@dataclass
class Course:
    """How one container fares; points in time are monotonic seconds, `due` is None while it is up.

    `refused`: docker did not start it when it was asked last.
    """

    name: str
    service: str
    up: float
    ends: int = 0
    due: float | None = None
    refused: bool = False
    reason: str = ""

    def note(self, container: Container | None, now: float) -> None:
        """Take note of how it is at `now`; None: it is not there."""
        if not self._down(container):
            self.refused = False
            if self.due is not None:  # somebody started it by hand
                self.up, self.due, self.ends = now, None, self.ends - 1
            if now - self.up >= WELL_SECONDS:
                self.ends = 0
        elif self.due is None:
            self.ends += 1
            self.due = now + min(FIRST_PAUSE * 2 ** (self.ends - 1), LONGEST_PAUSE)
            code = f"exit code {container.exit_code}" if container else "removed"
            self.reason = "docker does not start it" if self.refused else code

    def started(self, now: float) -> None:
        """It was started again: where the next look finds it down, that is one more end."""
        self.up, self.due = now, None

    def _down(self, container: Container | None) -> bool:
        # What docker could not start stays "created"; so does, at first, what waits for others, and has not ended yet.
        created = container is not None and container.status == "created" and self.ends > 0
        return container is None or container.status in ("exited", "dead") or created

    @property
    def looping(self) -> bool:
        return self.ends >= LOOP

    def finding(self) -> Finding:
        """What is told of one that is looping."""
        return Finding(TOPIC + self.name, "warning", f"{self.name} keeps ending ({self.reason})", HINT)


@dataclass
class Restarts:
    """When which of the containers is to be started again."""

    courses: dict[str, Course] = field(default_factory=dict)

    def note(self, containers: Iterable[Container], now: float) -> None:
        """Take note of all containers as they are at `now`; one that was there and is not has ended."""
        found = {container.name: container for container in containers}
        for name, container in found.items():
            self.courses.setdefault(name, Course(name, container.service, up=now))
        for name, course in self.courses.items():
            course.note(found.get(name), now)

    def take_due(self, now: float) -> list[Course]:
        """Those to start again at `now`; they count as started."""
        due = [course for course in self.courses.values() if course.due is not None and course.due <= now]
        for course in due:
            course.started(now)
        return due

    def pause(self, now: float) -> float:
        """Seconds until the next look."""
        due = [course.due for course in self.courses.values() if course.due is not None]
        return max(0.0, min([now + WATCH_SECONDS, *due]) - now)

    def looping(self) -> dict[str, Course]:
        """Those that do not stay up."""
        return {name: course for name, course in self.courses.items() if course.looping}


class Supervisor:
    """Looks after the containers that `docker compose up`, the `process`, has started.

    `ended` is set when one has ended; `clock` tells monotonic seconds.
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
        """Start again what is due; returns the containers without those, web aside, that do not stay up.

        Raises ApplianceError where docker compose has ended.
        """
        code = self._process.poll()
        if code is not None:
            raise ApplianceError(
                f"docker compose ended by itself (exit code {code})", "journalctl -u appliance tells why"
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
        """Look at once when docker tells of an end, else now and then. Raises ApplianceError for a loop of web too."""
        while True:
            self._ended.clear()
            self.look()
            for course in self._restarts.courses.values():
                if course.service == WEB and course.ends >= LIMIT:
                    raise ApplianceError(
                        f"{course.name} ended {course.ends} times in a row ({course.reason})",
                        "journalctl -u appliance tells why",
                    )
            self._ended.wait(self._restarts.pause(self._clock()))

    def _start(self, services: Iterable[str]) -> None:
        """Make the containers of `services` anew: what one that was killed left may be in the way of its next start."""
        wanted = sorted(set(services))
        log.info("starting again: %s", ", ".join(wanted))
        courses = [course for course in self._restarts.courses.values() if course.service in wanted]
        refused = False
        try:
            for course in courses:
                docker.remove_container(self._context.runner, course.name)
            up = [*self._compose, "up", "--detach", "--no-build", "--no-deps", *wanted]
            self._context.runner.run(up, timeout=START_SECONDS)
        except ProcessError as error:
            # The next look finds them down, which is one more end.
            refused = True
            log.error("%s cannot be started: %s", ", ".join(wanted), error.message)
        for course in courses:
            course.refused = refused


@contextmanager
def supervised(context: Context) -> Iterator[Supervisor]:
    """docker compose up in the foreground, supervised; at the end the containers are stopped, and after a stop removed.

    What a killed run left goes first: memcached must not remember what a former web put there, and a network that is
    there stays as an earlier release made it. Volumes without a name go with their containers; the others are folders.
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
    """compose leads each line with a terminal's "erase line", also where there is no terminal."""
    log.info("%s", line.replace("\x1b[2K", "").rstrip())
