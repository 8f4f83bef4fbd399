"""What a newcomer gets from `./appliance demo`, and what the site survives."""

import ipaddress
import json
from typing import TYPE_CHECKING

import pytest

from tests.machine.backups import quiet

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until


BACK_SECONDS = 60
# An idle machine takes half of this (docs/performance.md), but other machines run at the same time.
CONVERGE_SECONDS = 6
UNITS = ("prepare-env", "prepare-appliance", "prepare-ecs", "appliance", "nginx", "postgresql", "docker")
CONTAINERS = (
    "ecs_ecs.web_1",
    "ecs_ecs.worker_1",
    "ecs_ecs.beat_1",
    "ecs_ecs.smtpd_1",
    "ecs_redis_1",
    "ecs_memcached_1",
)
PUBLIC_PORTS = {22, 80, 443}
CONTAINER_NETWORK = ipaddress.ip_network("172.16.0.0/12")
LINKS = {
    "/app/etc": "/data/etc",
    "/app/ecs-ca": "/data/ecs-ca",
    "/app/ecs-gpg": "/data/ecs-gpg",
    "/app/ecs-storage-vault": "/data/ecs-storage-vault",
    "/app/ecs-cache": "/volatile/ecs-cache",
}
FOLDERS = (
    "/app/ecs",
    "/app/appliance",
    "/app/etc/tags",
    "/app/etc/flags",
    "/data/ecs-ca",
    "/data/ecs-gpg",
    "/data/ecs-storage-vault",
    "/data/etc",
    "/data/ecs-pgdump",
    "/data/postgresql",
    "/volatile/docker",
    "/volatile/ecs-cache",
    "/volatile/redis",
    "/usr/local/share/appliance",
)


@pytest.fixture(scope="module")
def documents(demo: "Demo") -> int:
    """Store documents in the vault and the database; return how many there are now."""
    demo.sh("docker exec ecs_ecs.web_1 /start run ./manage.py makedocs 3")
    return count_documents(demo)


def count_documents(demo: "Demo") -> int:
    """Return the number of recorded documents; vault and database must agree."""
    report = json.loads(demo.sh("docker exec ecs_ecs.web_1 /start run python3 -m tests.vaultcheck --decrypt"))
    assert (report["missing"], report["altered"], report["orphaned"]) == ([], [], [])
    return int(report["documents"])


def all_is_well(demo: "Demo") -> bool:
    """Return whether the site answers, its unit is active and every container runs."""
    running = demo.exec(["docker", "ps", "--format={{.Names}}"]).stdout.split()
    active = demo.exec(["systemctl", "is-active", "appliance"]).stdout.strip() == "active"
    return active and set(CONTAINERS) <= set(running) and demo.answers()


def test_the_site_answers_over_https(demo: "Demo") -> None:
    for path in ("/", "/accounts/login/"):
        assert demo.get(path).status_code == 200


def test_every_unit_is_active_and_none_failed(demo: "Demo", until: "Until") -> None:
    """They are polled, because a certificate that arrives just now makes nginx reload for a moment."""
    states = ["systemctl", "is-active", *UNITS]
    until(lambda: set(demo.exec(states).stdout.split()) == {"active"}, 10)
    assert demo.sh("systemctl list-units --failed --no-legend") == ""


def test_nothing_else_listens_to_the_world(demo: "Demo") -> None:
    listening = [line.split()[4].rpartition(":") for line in demo.sh("ss -Hltun").splitlines()]
    public = {int(port) for address, _, port in listening if is_public(address)}
    assert public == PUBLIC_PORTS


def is_public(address: str) -> bool:
    """Return whether other machines can reach `address`, as written by ss; containers do not count."""
    plain = address.strip("[]").partition("%")[0]
    if plain == "*":
        return True
    parsed = ipaddress.ip_address(plain)
    return not (parsed.is_loopback or (parsed.version == 4 and parsed in CONTAINER_NETWORK))


def test_the_active_environment_is_for_root_alone(demo: "Demo") -> None:
    assert demo.sh("stat -c '%U:%G %a' /run/active-env.yml /app/env.yml").splitlines() == ["root:root 600"] * 2


def test_everything_lies_where_operators_know_it(demo: "Demo") -> None:
    assert {link: demo.sh(f"readlink {link}") for link in LINKS} == LINKS
    assert [folder for folder in FOLDERS if demo.exec(["test", "-d", folder]).returncode] == []


def test_a_second_converge_changes_nothing_and_is_quick(demo: "Demo") -> None:
    demo.sh("appliance converge --json")
    reports = [json.loads(demo.sh("appliance converge --json").splitlines()[-1]) for _ in range(3)]
    assert [(report["ok"], report["shown"]) for report in reports] == [(True, [])] * 3
    assert min(report["seconds"] for report in reports) <= CONVERGE_SECONDS


def test_run_again_the_demonstration_reuses_what_is_there(demo: "Demo") -> None:
    again = demo.command("--json")
    assert again.returncode == 0, again.stderr
    made = json.loads(again.stdout.splitlines()[-1])
    assert (made["url"], made["user"], made["password"]) == (demo.url, demo.user, demo.password)
    assert again.seconds < 60


def test_its_commands_answer_with_exit_codes(demo: "Demo") -> None:
    assert demo.command("status").returncode == 0
    assert demo.command("exec", "--", "sh", "-c", "exit 42").returncode == 42
    assert demo.command("exec", "--", "tr", "a", "b", data="banana").stdout == "bbnbnb"
    assert "appliance" in demo.command("logs", "-n", "50").stdout
    for command in ("status", "stop", "start", "exec"):
        words = [command, "--name", "nobody", *(["true"] if command == "exec" else [])]
        assert demo.command(*words).returncode == 6, command


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_killed_container_is_back_by_itself(demo: "Demo", until: "Until", documents: int, container: str) -> None:
    before = demo.sh(f"docker inspect --format={{{{.State.Pid}}}} {container}")
    demo.sh(f"kill -9 {before}")

    def back() -> bool:
        now = demo.exec(["docker", "inspect", "--format={{.State.Pid}}", container]).stdout.strip()
        return now not in ("", "0", before) and all_is_well(demo)

    until(back, BACK_SECONDS)
    assert count_documents(demo) == documents


@pytest.mark.parametrize(
    ("what", "process"),
    [("dockerd", "pidof dockerd"), ("PostgreSQL", "head -1 /var/lib/postgresql/17/main/postmaster.pid")],
)
def test_a_killed_service_is_back_by_itself(
    demo: "Demo", until: "Until", documents: int, what: str, process: str
) -> None:
    # A backup in progress would fail, as it should.
    with quiet(demo):
        before = demo.sh(process)
        demo.sh(f"kill -9 {before}")
        until(lambda: demo.exec(["sh", "-c", process]).stdout.strip() not in ("", before), BACK_SECONDS)
        until(lambda: all_is_well(demo), BACK_SECONDS)
        assert count_documents(demo) == documents, what
        assert demo.sh("systemctl list-units --failed --no-legend") == ""


def test_after_a_reboot_the_site_is_back_by_itself(demo: "Demo", until: "Until", documents: int) -> None:
    demo.machine.reboot()
    took = until(lambda: all_is_well(demo), BACK_SECONDS)
    assert took <= BACK_SECONDS
    assert count_documents(demo) == documents
    assert demo.sh("systemctl list-units --failed --no-legend") == ""


def test_after_a_power_cut_the_site_is_back_by_itself(demo: "Demo", until: "Until", documents: int) -> None:
    demo.machine.kill()
    demo.machine.start()
    until(lambda: all_is_well(demo), BACK_SECONDS)
    assert count_documents(demo) == documents
