"""Which containers are restarted, and when."""

import json
from collections.abc import Iterable
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Process, SystemRunner
from ecs_appliance.host.docker import Container
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.supervisor import (
    FIRST_PAUSE,
    LIMIT,
    LONGEST_PAUSE,
    TOPIC,
    WATCH_SECONDS,
    WELL_SECONDS,
    Restarts,
    Supervisor,
)
from tests.fakes import Answer, AnsweringRunner

BEAT, WEB, MEMCACHED = "ecs_ecs.beat_1", "ecs_ecs.web_1", "ecs_memcached_1"
NAMES = {"ecs.beat": BEAT, "ecs.web": WEB, "memcached": MEMCACHED}


def container(name: str = BEAT, status: str = "running", code: int = 0) -> Container:
    return Container(name, name.split("_")[1], status, "", code, 7)


def died(name: str = BEAT, code: int = 73) -> Container:
    return container(name, "exited", code)


def due(restarts: Restarts, containers: Iterable[Container], now: float) -> list[str]:
    restarts.note(containers, now)
    return [course.service for course in restarts.take_due(now)]


def die_at_once(restarts: Restarts, times: int) -> list[float]:
    """Have a container exit as soon as it starts; return the delays in seconds before its starts."""
    now, pauses = 0.0, []
    for _ in range(times):
        assert due(restarts, [died()], now) == []
        pauses.append(pause := restarts.courses[BEAT].due - now)  # type: ignore[operator]
        now += pause
        assert due(restarts, [died()], now) == ["ecs.beat"]
    return pauses


def test_what_runs_is_left_alone() -> None:
    restarts = Restarts()
    for status in ("created", "running", "paused", "restarting"):
        assert due(restarts, [container(status=status)], now=1000.0) == []
    assert restarts.looping() == {}


@pytest.mark.parametrize("gone", [[container(WEB), died(code=0)], [container(WEB), died(code=137)], [container(WEB)]])
def test_what_ended_however_is_started_again_alone(gone: list[Container]) -> None:
    restarts = Restarts()
    due(restarts, [container(WEB), container()], now=0.0)
    assert due(restarts, gone, now=10.0) == []
    assert due(restarts, gone, now=10.0 + FIRST_PAUSE) == ["ecs.beat"]
    assert due(restarts, [container(WEB), container()], now=12.0) == []
    assert restarts.looping() == {}


def test_pauses_double_up_to_a_longest() -> None:
    assert die_at_once(Restarts(), 9) == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


def test_the_second_end_in_a_row_is_a_loop_and_says_how() -> None:
    restarts = Restarts()
    die_at_once(restarts, 1)
    assert restarts.looping() == {}
    die_at_once(restarts, 1)
    assert restarts.looping()[BEAT].reason == "exit code 73"


def test_ends_are_counted_by_container() -> None:
    restarts = Restarts()
    due(restarts, [died(f"ecs_ecs.{number}_1") for number in range(9)], now=0.0)
    assert restarts.looping() == {}


def test_a_loop_is_over_once_it_has_been_up_for_a_while() -> None:
    restarts = Restarts()
    die_at_once(restarts, 3)
    began = restarts.courses[BEAT].up
    due(restarts, [container()], now=began + WELL_SECONDS - 1)
    assert restarts.looping()
    due(restarts, [container()], now=began + WELL_SECONDS)
    assert restarts.looping() == {}
    due(restarts, [died()], now=began + WELL_SECONDS + 1)
    assert restarts.courses[BEAT].ends == 1


def test_what_docker_could_not_start_is_one_more_end() -> None:
    restarts = Restarts()
    die_at_once(restarts, 1)
    due(restarts, [container(status="created")], now=100.0)
    assert restarts.courses[BEAT].ends == 2


def test_a_restart_by_hand_is_no_end() -> None:
    restarts = Restarts()
    for now in (0.0, 10.0, 20.0):
        assert due(restarts, [died()], now) == []
        assert due(restarts, [container()], now + FIRST_PAUSE) == []
    assert restarts.courses[BEAT].ends == 0


def test_the_next_look_is_when_the_next_start_is_due() -> None:
    restarts = Restarts()
    restarts.note([container()], 0.0)
    assert restarts.pause(0.0) == WATCH_SECONDS
    restarts.note([died()], 1.0)
    assert restarts.pause(1.0) == FIRST_PAUSE
    assert restarts.pause(60.0) == 0.0


class Site:
    """A docker with containers in `states`, where restarted ones keep running if `fixed`, and exit otherwise."""

    def __init__(self, folder: Path) -> None:
        self.states = dict.fromkeys((BEAT, WEB, MEMCACHED), "running")
        self.fixed = True
        self.refuses = False
        self.compose_ended: int | None = None
        self.now = 0.0
        self.started: list[list[str]] = []
        self.runner = AnsweringRunner(self.answer)
        self.context = Context(Paths(folder), cast(SystemRunner, self.runner))
        self.supervisor = Supervisor(
            self.context, ["docker", "compose"], cast(Process, self), self.ticking(), clock=lambda: self.now
        )

    def poll(self) -> int | None:
        """Act as the process of docker compose up."""
        return self.compose_ended

    def ticking(self) -> Event:
        site = self

        class Ticking(Event):
            def wait(self, timeout: float | None = None) -> bool:
                site.now += timeout or 0
                return False

        return Ticking()

    def answer(self, words: list[str]) -> Answer:
        match words[1:]:
            case ["ps", *_]:
                return 0, "\n".join(self.states), ""
            case ["container", "inspect", *names]:
                return 0, json.dumps([self.described(name) for name in names]), ""
            case ["rm", *_, name]:
                self.states.pop(name, None)
            case ["compose", "up", "--detach", "--no-build", "--no-deps", *services]:
                if self.refuses:
                    return 1, "", "the address is in use"
                self.started.append(services)
                self.states |= dict.fromkeys([NAMES[each] for each in services], "running" if self.fixed else "exited")
        return 0, "", ""

    def described(self, name: str) -> dict[str, Any]:
        state = {"Status": self.states[name], "ExitCode": 73, "Pid": 7}
        return {
            "Name": f"/{name}",
            "Config": {"Labels": {"com.docker.compose.service": name.split("_")[1]}},
            "State": state,
        }

    def look_after(self, seconds: float) -> list[str]:
        self.now += seconds
        return [container.name for container in self.supervisor.look()]

    def alerts(self) -> list[str]:
        return [alert.topic for alert in self.context.alerts.standing()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.supervisor.look()
    return made


def test_memcached_is_made_anew_with_web(site: Site) -> None:
    site.states[WEB] = "exited"
    site.look_after(0)
    assert site.started == []
    site.look_after(FIRST_PAUSE)
    assert site.started == [["ecs.web", "memcached"]]
    removals = [words for words in site.runner.asked if words[1] == "rm"]
    assert removals == [["docker", "rm", "--force", "--volumes", name] for name in (WEB, MEMCACHED)]
    assert site.look_after(1) == [BEAT, WEB, MEMCACHED]
    assert site.alerts() == []


def test_a_loop_is_told_and_left_out_until_it_is_over(site: Site) -> None:
    site.states[BEAT], site.fixed = "exited", False
    while not site.alerts():
        seen = site.look_after(FIRST_PAUSE)
    assert (site.alerts(), seen) == ([TOPIC + BEAT], [WEB, MEMCACHED])
    assert site.context.alerts.standing()[0].message == f"{BEAT} keeps exiting (exit code 73)"
    site.fixed = True
    site.look_after(LONGEST_PAUSE)
    site.look_after(1)
    assert site.alerts() == [TOPIC + BEAT]
    assert site.look_after(WELL_SECONDS) == [BEAT, WEB, MEMCACHED]
    assert site.alerts() == []


def test_what_docker_refuses_to_start_is_tried_again(site: Site) -> None:
    site.states[BEAT], site.refuses = "exited", True
    for _ in range(9):
        site.look_after(LONGEST_PAUSE)
    assert site.context.alerts.standing()[0].message == f"{BEAT} keeps exiting (docker could not start it)"
    site.refuses = False
    site.look_after(LONGEST_PAUSE)
    assert site.states[BEAT] == "running"


def test_a_loop_of_web_alone_ends_the_site(site: Site) -> None:
    site.states[BEAT], site.fixed = "exited", False
    for _ in range(2 * LIMIT):
        site.look_after(LONGEST_PAUSE)
    assert site.supervisor.look()
    site.states[WEB] = "exited"
    with pytest.raises(ApplianceError, match=f"^{WEB} exited {LIMIT} times in a row \\(exit code 73\\)$"):
        site.supervisor.watch()
    assert sum("ecs.web" in services for services in site.started) == LIMIT - 1


def test_the_end_of_compose_is_the_end(site: Site) -> None:
    site.compose_ended = 1
    with pytest.raises(ApplianceError, match="docker compose exited unexpectedly"):
        site.supervisor.watch()
