"""Containers that exit while the site runs are recreated; only a crash loop of web ends the site."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until

from tests.machine.test_demo import CONTAINERS

# Fixtures.
from tests.machine.test_faults import source as source  # noqa: PLC0414
from tests.machine.test_faults import updated as updated  # noqa: PLC0414

WEB, WORKER, BEAT, SMTPD, REDIS, MEMCACHED = CONTAINERS
COMPOSE = "/app/etc/ecs/docker-compose.yml"
BACK_SECONDS = 60
# A container counts as healthy only after it has been up for this long.
WELL_SECONDS = 180


def states(demo: "Demo") -> dict[str, dict[str, str]]:
    """Return id and health (or status) of the site's containers, by name."""
    shown = demo.exec(["docker", "inspect", *CONTAINERS]).stdout
    return {
        each["Name"].lstrip("/"): {
            "id": each["Id"],
            "health": each["State"].get("Health", {}).get("Status") or each["State"]["Status"],
        }
        for each in json.loads(shown)
    }


def ids(demo: "Demo") -> dict[str, str]:
    return {name: state["id"] for name, state in states(demo).items()}


def all_up(demo: "Demo") -> bool:
    now = states(demo)
    return set(now) == set(CONTAINERS) and {s["health"] for s in now.values()} <= {"healthy", "running"}


def alerts(demo: "Demo") -> str:
    return demo.exec(["appliance", "alerts"]).stdout


@pytest.fixture
def well(demo: "Demo", until: "Until") -> None:
    """Wait until the site and all of its containers are up."""
    until(lambda: all_up(demo) and demo.answers(), BACK_SECONDS)


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(
    ("name", "how", "anew"),
    [
        # Its pid file names process 1, which exists in every container.
        (BEAT, "kill -9 $(docker inspect --format={{.State.Pid}} %s)", {BEAT}),
        (WORKER, "docker kill %s", {WORKER}),
        # The files that web has compressed are lost with it, so memcached must forget their names.
        (WEB, "docker kill %s", {WEB, MEMCACHED}),
        (SMTPD, "docker rm --force %s", {SMTPD}),
        (REDIS, "docker stop %s", {REDIS}),
    ],
)
def test_what_ends_is_made_anew_alone(demo: "Demo", until: "Until", name: str, how: str, anew: set[str]) -> None:
    before = ids(demo)
    demo.sh(how % name)
    until(lambda: ids(demo).get(name, before[name]) != before[name] and all_up(demo), BACK_SECONDS)
    now = ids(demo)
    assert {container for container in CONTAINERS if now[container] != before[container]} == anew
    assert demo.answers()
    assert alerts(demo).count(name) == 0


@pytest.mark.usefixtures("well")
def test_a_page_has_its_stylesheet_after_web_was_made_anew(demo: "Demo", until: "Until") -> None:
    before = ids(demo)[WEB]
    demo.sh(f"docker kill {WEB}")
    until(lambda: ids(demo).get(WEB, before) != before and demo.answers(), BACK_SECONDS)
    page = demo.get("/accounts/login/").text
    stylesheet = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert "CACHE" in stylesheet
    assert demo.get(stylesheet).status_code == 200


@pytest.mark.usefixtures("well")
def test_a_restart_by_hand_keeps_the_container(demo: "Demo", until: "Until") -> None:
    before = ids(demo)
    demo.sh(f"docker restart {WORKER}", timeout=60)
    until(lambda: all_up(demo), BACK_SECONDS)
    assert ids(demo) == before


@pytest.mark.usefixtures("well")
def test_a_loop_of_beat_is_told_while_the_site_stays_and_no_longer_once_it_is_well(
    demo: "Demo", until: "Until"
) -> None:
    before = ids(demo)
    demo.sh(f"cp -p {COMPOSE} /root/compose.kept; sed -i 's/command: .*beat.*/command: [run, \"false\"]/' {COMPOSE}")
    try:
        demo.sh(f"docker kill {BEAT}")
        until(lambda: f"{BEAT} keeps exiting (exit code 1)" in alerts(demo), BACK_SECONDS)
        assert demo.answers()
    finally:
        demo.sh(f"cp -p /root/compose.kept {COMPOSE}; rm /root/compose.kept")
    until(lambda: all_up(demo), BACK_SECONDS)
    assert BEAT in alerts(demo)
    until(lambda: BEAT not in alerts(demo), WELL_SECONDS + BACK_SECONDS)
    now = ids(demo)
    assert {name for name in CONTAINERS if now[name] != before[name]} == {BEAT}


def test_a_version_whose_beat_ends_at_once_comes_up(demo: "Demo", source: Callable[[str], str]) -> None:
    commit = source("sed -i 's/^sys.exit.*/sys.exit(9 if \"beat\" in sys.argv else main())/' scripts/celery")
    demo.sh("systemctl start appliance-update", timeout=300)
    assert demo.sh("cat /app/etc/tags/last_running_ecs") == commit
    assert demo.answers()
    assert f"{BEAT} keeps exiting (exit code 9)" in alerts(demo)


@pytest.mark.usefixtures("well")
def test_a_loop_of_web_ends_the_site_and_says_where_to_look(demo: "Demo", until: "Until") -> None:
    since = demo.sh("date +@%s")
    journal = f"journalctl --unit=appliance --output=cat --since={since}"
    demo.sh(f"cp -p {COMPOSE} /root/compose.kept; sed -i 's/command: .simple.$/command: [run, \"false\"]/' {COMPOSE}")
    try:
        demo.sh(f"docker kill {WEB}")
        until(lambda: f"{WEB} exited 6 times in a row" in demo.sh(journal), 2 * BACK_SECONDS)
        assert "journalctl -u appliance shows why" in demo.sh(journal)
    finally:
        demo.sh(f"cp -p /root/compose.kept {COMPOSE}; rm /root/compose.kept")
        demo.sh("systemctl restart appliance", timeout=300)
    assert demo.answers()


@pytest.mark.usefixtures("well")
def test_volumes_without_a_name_go_with_their_containers(demo: "Demo", until: "Until") -> None:
    def volumes() -> list[str]:
        return demo.sh("docker volume ls --quiet").split()

    def anonymous() -> set[str]:
        # The application's image declares a volume at which beat and smtpd mount nothing.
        mounts = '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}'
        return set(demo.sh(f"docker inspect --format='{mounts}' {BEAT} {SMTPD}").split())

    demo.sh("docker volume create kept; systemctl restart appliance", timeout=300)
    try:
        before = ids(demo)[BEAT]
        assert len(anonymous()) == 2
        demo.sh(f"docker kill {BEAT}")
        until(lambda: ids(demo).get(BEAT, before) != before, BACK_SECONDS)
        # As an earlier release left them.
        demo.sh("docker create --name=left --volume=/anywhere ecs/ecs; docker rm left")
        assert set(volumes()) > anonymous() | {"kept"}
        # A restart, in case the run after the start has not finished.
        demo.sh("systemctl restart appliance-cleanup", timeout=120)
        assert set(volumes()) == anonymous() | {"kept"}
        demo.sh("systemctl stop appliance", timeout=120)
        assert volumes() == ["kept"]
    finally:
        demo.sh("docker volume rm kept; systemctl start appliance", timeout=300)


@pytest.mark.usefixtures("well")
def test_layers_of_builds_are_bounded_and_images_stay(demo: "Demo") -> None:
    demo.sh(
        "mkdir -p /root/layers; cd /root/layers; echo 'FROM debian:trixie-slim' >Dockerfile; "
        'for n in 1 2 3; do echo "RUN head -c 20000000 /dev/urandom >/$n"; done >>Dockerfile; '
        "docker buildx build --quiet --tag=ecs/layers . ; docker image rm ecs/layers; rm -r /root/layers",
        timeout=300,
    )
    images = demo.sh("docker image ls --no-trunc --quiet | sort -u")
    call = "from ecs_appliance.host.docker import bound_layers; from ecs_appliance.core.runner import SystemRunner"
    demo.sh(f"cd /app/appliance; .venv/bin/python -c '{call}; bound_layers(SystemRunner(), 30_000_000)'")
    kept = demo.sh("docker buildx du | sed -n 's/^Private:[[:space:]]*//p'")
    # Of the three, of 20 MB each, one fits.
    assert kept.endswith("MB")
    assert float(kept.removesuffix("MB")) <= 30
    assert demo.sh("docker image ls --no-trunc --quiet | sort -u") == images
