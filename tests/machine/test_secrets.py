"""The secrets of env.yml are found only where they have to be."""

from typing import TYPE_CHECKING

import pytest

from ecs_appliance.env.check import check
from ecs_appliance.env.schema_walk import secrets

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

# Each line of a block is searched for by itself; shorter ones could be ordinary words.
SHORTEST = 20
MAY_KNOW = {"ecs_ecs.web_1", "ecs_ecs.worker_1", "ecs_ecs.beat_1", "ecs_ecs.smtpd_1"}


@pytest.fixture(scope="module")
def needles(demo: "Demo") -> list[str]:
    """Return the lines of the environment's secrets, and the database's password."""
    env = check(demo.machine.guest.pull("/run/active-env.yml")).env
    assert env is not None
    lines = {line.strip() for secret in secrets(env) for line in secret.splitlines()}
    telling = [line for line in lines if is_telling(line)]
    password = demo.sh("sed 's/.*app:\\(.*\\)@.*/\\1/' /app/etc/ecs/database_url.env")
    queue = demo.sh("sed 's/.*redis:..:\\(.*\\)@.*/\\1/' /app/etc/ecs/redis_url.env")
    assert len(telling) > 50
    assert min(len(password), len(queue)) > SHORTEST
    return [*telling, password, queue, demo.password]


def is_telling(line: str) -> bool:
    """Return whether a line is long enough to search for, and is not armour, a comment, or a public setting."""
    setting = " = " in line or line.startswith(("SMTPD_CONFIG", "file:///"))
    known = "SECRET" in line if setting else not line.startswith(("-----", "#"))
    return known and len(line) >= SHORTEST


def grep(demo: "Demo", needles: list[str], command: str) -> str:
    """Return those of `needles` that are in the output of `command`."""
    demo.machine.guest.push("/run/needles", "\n".join(needles) + "\n", mode=0o600)
    return demo.sh(
        f"{command} | grep --only-matching --fixed-strings --file=/run/needles | sort -u || true", timeout=300
    )


def test_the_search_finds_what_is_there(demo: "Demo", needles: list[str]) -> None:
    found = grep(demo, needles, "cat /run/active-env.yml /app/etc/ecs/database_url.env")
    assert len(found.splitlines()) >= len(needles) - 2


@pytest.mark.parametrize(
    "place",
    [
        "journalctl --boot=all --output=cat --all",
        'sh -c \'cat /proc/[0-9]*/cmdline | tr "\\0" "\\n"\'',
        "cat /var/www/html/unavailable.html",
        "docker inspect ecs_redis_1 ecs_memcached_1",
        "docker history --no-trunc ecs/ecs",
        "sh -c 'docker logs ecs_ecs.web_1; docker logs ecs_ecs.worker_1' 2>&1",
        "sh -c 'find /var/log -type f -exec cat {} +'",
    ],
)
def test_no_secret_in(demo: "Demo", needles: list[str], place: str) -> None:
    assert grep(demo, needles, place) == ""


def test_only_the_application_is_told_secrets(demo: "Demo", needles: list[str]) -> None:
    names = demo.sh("docker ps --format={{.Names}}").split()
    told = {name for name in names if grep(demo, needles, f"docker inspect {name}")}
    assert told == MAY_KNOW


def test_no_file_with_a_secret_is_readable_by_everyone(demo: "Demo", needles: list[str]) -> None:
    demo.machine.guest.push("/run/needles", "\n".join(needles) + "\n", mode=0o600)
    everyone = (
        "find / -xdev -type f -perm /o=r -size -4M -not -path '/proc/*' -not -path '/usr/*' -not -path '/srv/git/*'"
    )
    reachable = f"{everyone} -print0 | xargs -0 grep --files-with-matches --fixed-strings --file=/run/needles || true"
    found = [path for path in demo.sh(reachable, timeout=300).splitlines() if not is_fenced(demo, path)]
    assert found == []


def is_fenced(demo: "Demo", path: str) -> bool:
    """Return whether a folder above the path keeps other accounts out."""
    return demo.exec(["gosu", "nobody", "cat", path]).returncode != 0
