"""An attacker with code in a container, or with an account on the machine: which other containers it can reach."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until

WEB, WORKER, BEAT, SMTPD = (f"ecs_ecs.{name}_1" for name in ("web", "worker", "beat", "smtpd"))
REDIS, MEMCACHED = "ecs_redis_1", "ecs_memcached_1"
# The listening ports of each container.
PORTS = {WEB: (5000, 8017), SMTPD: (8025,), REDIS: (6379,), MEMCACHED: (11211,), WORKER: (), BEAT: ()}
TASKS = {
    (WEB, REDIS, 6379),
    (WEB, MEMCACHED, 11211),
    (WORKER, REDIS, 6379),
    (WORKER, MEMCACHED, 11211),
    (BEAT, REDIS, 6379),
}
SECRETS = {
    WEB: {"DATABASE_URL", "REDIS_URL", "MEMCACHED_URL", "SMTP_URL", "ECS_SETTINGS"},
    WORKER: {"DATABASE_URL", "REDIS_URL", "MEMCACHED_URL", "SMTP_URL", "ECS_SETTINGS"},
    BEAT: {"REDIS_URL", "ECS_SETTINGS"},
    SMTPD: {"DATABASE_URL", "ECS_SETTINGS"},
    REDIS: set(),
    MEMCACHED: set(),
}
# Arguments: ADDRESS:PORT…; prints those that accept a connection.
KNOCK = """
import concurrent.futures, socket, sys
def opens(target):
    address, _, port = target.rpartition(":")
    try:
        socket.create_connection((address, int(port)), 2).close()
    except OSError:
        return False
    return True
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(*[target for target, taken in zip(sys.argv[1:], pool.map(opens, sys.argv[1:])) if taken], sep="\\n")
"""
# Arguments: the words of a command, with `hello` before them; prints the answers.
ASK_REDIS = """
import os, socket, sys
from urllib.parse import urlsplit
words = sys.argv[2:]
peer = socket.create_connection(("ecs_redis_1", 6379), 5)
def ask(*words):
    peer.sendall(b"*%d\\r\\n" % len(words) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(w), w) for w in words))
    return peer.recv(65536).decode(errors="replace").splitlines()[0]
if sys.argv[1] == "known":
    ask(b"AUTH", urlsplit(os.environ["REDIS_URL"]).password.encode())
print(ask(*(word.encode() for word in words)))
"""


@pytest.fixture(scope="module")
def containers(demo: "Demo") -> dict[str, dict[str, object]]:
    """Return docker's description of each container, by name."""
    found = json.loads(demo.sh(f"docker inspect {' '.join(PORTS)}"))
    return {container["Name"].lstrip("/"): container for container in found}


@pytest.fixture(scope="module")
def addresses(containers: dict[str, dict[str, object]]) -> dict[str, list[str]]:
    """Return all addresses of each container."""
    networks = {name: container["NetworkSettings"]["Networks"] for name, container in containers.items()}  # type: ignore[index]
    return {name: [network["IPAddress"] for network in those.values()] for name, those in networks.items()}


@pytest.fixture
def as_nobody(demo: "Demo") -> Iterator[str]:
    """Yield the words that run a command as an account without any privileges."""
    demo.machine.guest.push("/run/knock.py", KNOCK.encode(), mode=0o644)
    yield "setpriv --reuid=nobody --regid=nogroup --clear-groups"
    demo.sh("rm /run/knock.py")


def knock(demo: "Demo", targets: list[str], prefix: str) -> set[str]:
    demo.machine.guest.push("/run/knock.py", KNOCK.encode(), mode=0o644)
    return set(demo.sh(f"{prefix} python3 /run/knock.py {' '.join(targets)}").split())


def test_a_container_reaches_of_the_others_what_its_task_needs_and_nothing_else(
    demo: "Demo", containers: dict[str, dict[str, object]], addresses: dict[str, list[str]]
) -> None:
    doors = {
        f"{address}:{port}": (name, port)
        for name, ports in PORTS.items()
        for port in ports
        for address in addresses[name]
    }
    reached = set()
    for source, container in containers.items():
        inside = f"nsenter --net --target {container['State']['Pid']}"  # type: ignore[index]
        taken = {doors[target] for target in knock(demo, list(doors), inside)}
        # Each port really is open, to its own container.
        assert {(source, port) for port in PORTS[source]} <= taken
        reached |= {(source, name, port) for name, port in taken if name != source}
    assert reached == TASKS


def test_a_container_holds_the_secrets_of_its_task_and_no_others(containers: dict[str, dict[str, object]]) -> None:
    every = set().union(*SECRETS.values())
    for name, container in containers.items():
        held = {line.partition("=")[0] for line in container["Config"]["Env"]}  # type: ignore[index]
        assert held & every == SECRETS[name], name


def ask_redis(demo: "Demo", container: str, *words: str, known: bool) -> str:
    argv = ["docker", "exec", "-i", container, "/start", "run", "python3", "-", "known" if known else "unknown", *words]
    done = demo.exec(argv, data=ASK_REDIS)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_the_queue_answers_nobody_without_its_password(demo: "Demo") -> None:
    for words in (("PING",), ("GET", "x"), ("LPUSH", "celery", "x"), ("CONFIG", "GET", "dir"), ("INFO",)):
        assert ask_redis(demo, WEB, *words, known=False).startswith("-NOAUTH"), words


@pytest.mark.parametrize(
    "words",
    [
        ("CONFIG", "SET", "dir", "/tmp"),
        ("CONFIG", "GET", "*"),
        ("DEBUG", "OBJECT", "x"),
        ("MODULE", "LOAD", "/tmp/x.so"),
        ("REPLICAOF", "192.0.2.1", "6379"),
        ("SAVE",),
        ("BGREWRITEAOF",),
        ("SHUTDOWN", "NOSAVE"),
        ("ACL", "SETUSER", "other", "on", "nopass", "+@all"),
        ("CLIENT", "LIST"),
        ("MIGRATE", "192.0.2.1", "6379", "x", "0", "1"),
        ("MONITOR",),
        ("FLUSHALL",),
        ("KEYS", "*"),
    ],
)
def test_who_uses_the_queue_has_its_data_and_not_its_server(demo: "Demo", words: tuple[str, ...]) -> None:
    # The server does not allow two of them at all, and says so before it checks permissions.
    answer = ask_redis(demo, WEB, *words, known=True)
    assert answer.startswith(("-NOPERM", f"-ERR {words[0]} command not allowed")), answer


def test_what_celery_does_with_the_queue_is_allowed(demo: "Demo") -> None:
    for words in (("SETEX", "hostile:x", "9", "1"), ("LLEN", "celery"), ("PUBLISH", "x", "y"), ("INFO",), ("MULTI",)):
        assert ask_redis(demo, BEAT, *words, known=True)[0] in "+:$", words


def test_the_health_check_of_the_queue_is_no_way_in(demo: "Demo") -> None:
    shown = "redis-cli --no-auth-warning --user health --pass any"
    assert demo.sh(f"docker exec {REDIS} {shown} ping") == "PONG"
    for words in ("get x", "llen celery", "info", "acl whoami"):
        assert "NOPERM" in demo.sh(f"docker exec {REDIS} {shown} {words}"), words


def test_the_password_of_the_queue_is_roots_alone(demo: "Demo") -> None:
    password = demo.sh("sed 's/.*redis:..:\\(.*\\)@.*/\\1/' /app/etc/ecs/redis_url.env")
    assert len(password) == len("0" * 48)
    assert demo.sh("stat -c '%U %a' /app/etc/ecs/redis_url.env") == "root 600"
    for container in (REDIS, MEMCACHED, SMTPD):
        assert password not in demo.sh(f"docker inspect {container}"), container
    assert password not in demo.sh("cat /app/etc/ecs/redis.acl /app/etc/ecs/docker-compose.yml")
    # Read from stdin, so that grep does not find its own arguments.
    assert demo.exec(["sh", "-c", "grep -lqF -f - /proc/[1-9]*/cmdline"], data=password).returncode == 1
    assert password not in demo.sh("journalctl --no-pager --quiet --boot")


def test_an_account_of_the_machine_gets_neither_past_the_frontend_nor_to_the_cookies(
    demo: "Demo", as_nobody: str, addresses: dict[str, list[str]]
) -> None:
    """uWSGI's statistics show the headers of current requests, including session cookies."""
    targets = [f"{address}:{port}" for name, ports in PORTS.items() for port in ports for address in addresses[name]]
    targets += ["127.0.0.1:5000", "127.0.0.1:8017", "172.17.0.1:8017"]
    assert knock(demo, targets, as_nobody) == set()
    assert knock(demo, targets, as_nobody.replace("nobody", "www-data")) == {"127.0.0.1:5000"}
    assert {"127.0.0.1:5000", "127.0.0.1:8017"} <= knock(demo, targets, "")
    assert demo.answers()


def test_tasks_and_cache_still_work(demo: "Demo", until: "Until") -> None:
    """The worker runs what web and beat queue, and sees what web caches."""
    since = demo.sh("date +%s")
    logs = f"docker logs --since {since} {WORKER} 2>&1"
    demo.sh(f"docker exec {WEB} /start run celery -A ecs call ecs.integration.tasks.clearsessions")
    until(lambda: "clearsessions" in demo.sh(f"{logs} | grep succeeded || true"), 30)
    cache = "from django.core.cache import cache; "
    shell = "docker exec -i {} /start run ./manage.py shell"
    demo.sh(f"echo \"{cache}cache.set('hostile', 'kept', 60)\" | {shell.format(WEB)}")
    assert "kept" in demo.sh(f"echo \"{cache}print(cache.get('hostile'))\" | {shell.format(WORKER)}")
    until(lambda: "file_received_mail" in demo.sh(f"{logs} | grep succeeded || true"), 90)


def test_no_container_may_take_the_whole_machine(demo: "Demo") -> None:
    """Without control groups, as in the machine of these tests, docker omits the limits: see tests/vm."""
    services = json.loads(demo.sh("cd /app/etc/ecs; docker compose config --format json"))["services"]
    memory = int(demo.sh("awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024
    for service in services.values():
        assert 0 < int(service["mem_limit"]) < memory // 2, service["container_name"]
        assert service["memswap_limit"] == service["mem_limit"], service["container_name"]
        assert service["cgroup_parent"] == "ecs.slice", service["container_name"]
