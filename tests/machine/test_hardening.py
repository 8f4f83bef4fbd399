"""Hardening of the machine: ssh, updates, units, PostgreSQL, containers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ecs_appliance.core.runner import Result, SystemRunner, end
from tests.fences import MOST, ROOT_ALL_OVER

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

UNITS = "/usr/local/lib/systemd/system"
SERVICES = ("nginx.service", "postgresql@17-main.service")
ENTRY_POINT = {"CHOWN", "FOWNER", "SETUID", "SETGID"}
# Capabilities, maximum number of processes, whether the root filesystem is read-only.
CONTAINERS: dict[str, tuple[set[str], int, bool]] = {
    "ecs_ecs.web_1": (ENTRY_POINT, 1000, False),
    "ecs_ecs.worker_1": (ENTRY_POINT, 1000, False),
    "ecs_ecs.beat_1": (ENTRY_POINT, 1000, False),
    "ecs_ecs.smtpd_1": ({*ENTRY_POINT, "KILL"}, 1000, False),
    "ecs_redis_1": (set(), 100, True),
    "ecs_memcached_1": (set(), 100, True),
}
FORCE = "/app/etc/flags/force.update.system"
LOCK = """
import fcntl, sys, time
held = open(sys.argv[1], "w")
(fcntl.lockf if sys.argv[2] == "fcntl" else fcntl.flock)(held, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(8)
"""


@pytest.fixture
def edit(demo: "Demo") -> Iterator[Callable[[Callable[[Any], None]], None]]:
    """Yield a function that changes and activates /app/env.yml; restore and activate the old file afterwards."""
    before = demo.machine.guest.pull("/app/env.yml")

    def change(by: Callable[[Any], None]) -> None:
        demo.edit_env(by)
        demo.sh("systemctl reload appliance", timeout=120)

    yield change
    demo.machine.guest.push("/app/env.yml", before, mode=0o600)
    demo.sh("systemctl reload appliance", timeout=120)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Create a private key, with its public key next to it."""
    SystemRunner().run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], timeout=20)
    return tmp_path / "key"


def ssh_words(demo: "Demo", *words: str) -> list[str]:
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=10")
    return ["ssh", "-F", "none", *(f"-o{option}" for option in options), *words, f"root@{demo.address}"]


def ssh(demo: "Demo", *words: str) -> Result:
    """Log in as root with options `words` and run `true`."""
    return SystemRunner().run([*ssh_words(demo, *words), "true"], timeout=60, ok=range(256))


def offered(demo: "Demo") -> str:
    """Return the authentication methods that ssh offers to a client that has none of them."""
    refused = ssh(demo, "-oIdentitiesOnly=yes", "-oIdentityFile=none")
    return refused.stderr.rpartition("Permission denied (")[2].partition(")")[0]


def test_while_nobody_has_a_key_passwords_stay_and_the_journal_says_so(demo: "Demo") -> None:
    assert demo.sh("cat /root/.ssh/authorized_keys /root/.ssh/authorized_keys2 2>/dev/null || true") == ""
    assert offered(demo) == "publickey,password"
    said = demo.sh("journalctl --boot --unit=prepare-env --output=cat --no-pager | grep 'accepts passwords'")
    assert "add one to ssh_authorized_keys" in said


def test_with_a_key_no_password_will_do_and_sessions_go_on(demo: "Demo", edit: Any, key: Path) -> None:
    public = key.with_suffix(".pub").read_text().strip()
    demo.sh(f"echo '{public}' >> /root/.ssh/authorized_keys")
    session = SystemRunner().spawn([*ssh_words(demo, "-i", str(key)), "touch /run/session; sleep 300"])
    try:

        def give(env: Any) -> None:
            env["ssh_authorized_keys"] = [public]

        edit(give)
        demo.sh("test -e /run/session")
        assert offered(demo) == "publickey"
        assert ssh(demo, "-i", str(key)).returncode == 0
        assert session.poll() is None
    finally:
        end(session, grace=5)
        demo.sh("rm -f /root/.ssh/authorized_keys /app/.ssh/authorized_keys /run/session")
    assert "accepts passwords" not in demo.sh("appliance plan")


def test_ssh_speaks_modern_algorithms_only(demo: "Demo") -> None:
    weak = ("-oMACs=hmac-sha1,hmac-sha2-256,umac-64-etm@openssh.com", "-oCiphers=aes128-ctr")
    assert "no matching MAC" in ssh(demo, *weak).stderr
    told = dict(line.split(" ", 1) for line in demo.sh("sshd -T").splitlines())
    assert (told["x11forwarding"], told["allowagentforwarding"], told["permitemptypasswords"]) == ("no", "no", "no")
    assert "diffie-hellman" not in told["kexalgorithms"]
    assert "cbc" not in told["ciphers"]


def test_a_broken_file_of_the_operator_does_not_take_ssh_away(demo: "Demo") -> None:
    file = "/etc/ssh/sshd_config.d/50-own.conf"
    demo.sh(f"echo 'PermitRotLogin no' > {file}")
    try:
        done = demo.exec(["appliance", "converge"])
        assert done.returncode == 1
        assert "50-own.conf" in done.stdout + done.stderr
        assert offered(demo) == "publickey,password"
    finally:
        demo.sh(f"rm {file}; appliance converge")


def test_security_updates_install_themselves(demo: "Demo") -> None:
    settings = demo.sh("apt-config dump APT::Periodic; apt-config dump DPkg::Lock; apt-config dump Unattended-Upgrade")
    for line in (
        'APT::Periodic::Update-Package-Lists "1";',
        'APT::Periodic::Unattended-Upgrade "1";',
        'DPkg::Lock::Timeout "600";',
    ):
        assert line in settings
    assert 'Automatic-Reboot "true"' not in settings
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert demo.sh(f"systemctl is-enabled {timer}; systemctl is-active {timer}").split() == ["enabled", "active"]
    said = demo.sh("unattended-upgrade --dry-run --verbose", timeout=120)
    assert "label=Debian-Security" in said


@pytest.mark.parametrize(
    ("lock", "kind", "command"),
    [
        ("/var/lib/dpkg/lock-frontend", "fcntl", "apt-get -qq --reinstall install hostname"),
        ("/var/lib/apt/daily_lock", "flock", f"touch {FORCE}; systemctl start appliance-update"),
    ],
)
def test_two_who_install_wait_for_each_other(demo: "Demo", lock: str, kind: str, command: str) -> None:
    demo.machine.guest.push("/run/hold.py", LOCK)
    began = int(demo.sh("date +%s"))
    hold = f"python3 /run/hold.py {lock} {kind} > /run/held & until grep -q held /run/held; do sleep 0.1; done"
    demo.sh(f"{hold}; {command}; wait; rm /run/held", timeout=300)
    assert int(demo.sh("date +%s")) - began >= 8
    assert demo.answers()


def test_network_settings_of_the_kernel_are_in_force(demo: "Demo") -> None:
    """Only network settings: the others belong to this host's kernel, and are tested in a virtual machine."""
    wanted = {
        "net/ipv4/conf/host0/accept_redirects": "0",
        "net/ipv4/conf/host0/send_redirects": "0",
        "net/ipv4/conf/host0/accept_source_route": "0",
        "net/ipv6/conf/host0/accept_redirects": "0",
        "net/ipv4/conf/default/send_redirects": "0",
        "net/ipv4/tcp_syncookies": "1",
        "net/ipv4/ip_forward": "1",
    }
    assert {name: demo.sh(f"cat /proc/sys/{name}") for name in wanted} == wanted
    demo.sh("systemctl restart systemd-sysctl")
    assert demo.sh("cat /proc/sys/net/ipv4/ip_forward") == "1"


def test_nothing_writes_its_memory_to_the_disk(demo: "Demo") -> None:
    """The core pattern belongs to this host's kernel, so only its setting is checked; the limits are the machine's."""
    units = ("nginx", "postgresql@17-main", "prepare-appliance", "appliance-backup", "ssh", "cron")
    limits = demo.sh(f"systemctl show --property=LimitCORE --value {' '.join(units)}").split()
    assert limits == ["0"] * len(units)
    assert demo.sh("grep core_pattern /etc/sysctl.d/60-appliance.conf") == "-kernel.core_pattern = |/bin/false"
    for name in CONTAINERS:
        assert demo.sh(f"docker exec {name} sh -c 'ulimit -Hc'") == "0", name
    for account in ("app", "root"):
        assert demo.sh(f"su - {account} -s /bin/sh -c 'ulimit -Hc'") == "0", account


def test_every_unit_of_ours_is_fenced_in(demo: "Demo") -> None:
    units = {Path(name).name for name in demo.sh(f"ls {UNITS}/*.service").split()}
    assert units >= ROOT_ALL_OVER
    judged = {
        unit: demo.exec(["systemd-analyze", "security", "--no-pager", f"--threshold={MOST}", instance(unit)]).returncode
        for unit in {*units, *SERVICES} - ROOT_ALL_OVER
    }
    assert judged == dict.fromkeys(judged, 0)


def instance(unit: str) -> str:
    return unit.replace("@.", "@test.")


def test_fenced_in_they_all_still_work(demo: "Demo") -> None:
    """What they write, read and call. Revocations reaching nginx, drives, and a start are tested elsewhere."""
    for unit in ("watch-ecs-ca", "appliance-cleanup", "service-failed@nginx"):
        demo.sh(f"systemctl restart {unit}", timeout=120)
    assert "its last lines:" in demo.sh("journalctl --unit=service-failed@nginx --lines=40 --output=cat")
    try:
        demo.sh("systemctl start appliance-failed@appliance.service.service")
        assert "appliance.service failed" in demo.sh("cat /var/www/html/status.json")
        assert "This site is not available" in demo.get("/").text
    finally:
        demo.sh("rm /var/www/html/503.html /var/www/html/status.json")
    assert demo.sh("systemctl list-units --failed --no-legend") == ""
    assert demo.answers()


def test_fenced_in_services_reload_and_come_back(demo: "Demo") -> None:
    demo.sh("systemctl reload nginx postgresql@17-main; systemctl restart nginx")
    # As many files as asked for, or as this machine may open at all.
    workers = "for pid in $(cat /proc/$(cat /run/nginx.pid)/task/*/children); do cat /proc/$pid/limits; done"
    limits = [line.split()[3:5] for line in demo.sh(workers).splitlines() if line.startswith("Max open files")]
    assert limits
    assert {min(int(hard), 32768) for _, hard in limits} == {int(soft) for soft, _ in limits}
    assert demo.sh("psql --username=postgres --dbname=ecs --command='select 1' --tuples-only --no-align") == "1"
    assert "TABLE DATA" in demo.sh("pg_dump --username=postgres --format=custom ecs | pg_restore --list")
    assert demo.answers()
    assert "GET /accounts/login/" in demo.sh("journalctl --unit=nginx --lines=5 --output=cat")


def psql(demo: "Demo", target: str, *, auth: str = "") -> Result:
    """Query the name of the role over TCP on this machine; libpq requires the authentication method `auth`."""
    password = demo.sh("sed 's/.*app:\\(.*\\)@.*/\\1/' /app/etc/ecs/database_url.env")
    script = f'PGPASSWORD=$(cat) PGREQUIREAUTH={auth} psql --no-align --tuples-only -c "select current_user" "$1"'
    return demo.exec(["sh", "-c", script, "sh", f"host=127.0.0.1 {target}"], data=password)


def test_by_tcp_the_database_knows_the_application_alone_and_by_scram(demo: "Demo") -> None:
    assert psql(demo, "user=app dbname=ecs", auth="scram-sha-256").stdout == "app\n"
    assert "authentication method requirement" in psql(demo, "user=app dbname=ecs", auth="md5").stderr
    for target in ("user=postgres dbname=ecs", "user=app dbname=postgres", "user=app dbname=template1"):
        assert "no pg_hba.conf entry" in psql(demo, target).stderr, target


def test_from_a_container_it_is_the_same(demo: "Demo") -> None:
    code = """
import os, psycopg2
url = os.environ['DATABASE_URL']
ways = [url + '?require_auth=scram-sha-256', url + '?require_auth=md5']
for way in [*ways, url.replace('//app', '//postgres'), url.replace('/ecs', '/postgres')]:
    try:
        psycopg2.connect(way).close()
        print('in')
    except psycopg2.OperationalError as error:
        print(next(part for part in ('no pg_hba.conf entry', 'method requirement') if part in str(error)))
"""
    done = demo.exec(["docker", "exec", "-i", "ecs_ecs.web_1", "/start", "run", "python3", "-"], data=code)
    refused = ["method requirement", "no pg_hba.conf entry", "no pg_hba.conf entry"]
    assert done.stdout.splitlines()[-4:] == ["in", *refused], done.stderr


def test_every_container_has_what_it_needs_and_no_more(demo: "Demo") -> None:
    names = demo.sh("docker ps --format={{.Names}}").split()
    assert set(names) == set(CONTAINERS)
    # Without the pids controller, as in the machine of these tests, docker omits the limit.
    limits = demo.sh("docker info --format={{.PidsLimit}}") == "true"
    for found in json.loads(demo.sh(f"docker inspect {' '.join(names)}")):
        name, host = found["Name"].lstrip("/"), found["HostConfig"]
        capabilities, processes, read_only = CONTAINERS[name]
        assert host["CapDrop"] == ["ALL"], name
        assert {word.removeprefix("CAP_") for word in host["CapAdd"] or ()} == capabilities, name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["ReadonlyRootfs"] is read_only, name
        assert host["PidsLimit"] == (processes if limits else None), name
        assert (host["Privileged"], host["PidMode"], host["CgroupParent"]) == (False, "", "ecs.slice"), name
        assert set(found["NetworkSettings"]["Networks"]) <= {"ecs", "ecs-queue", "ecs-cache"}, name
        assert not [mount for mount in found["Mounts"] if "docker.sock" in mount["Source"]], name


def test_no_process_of_a_container_has_more_than_it_was_given(demo: "Demo") -> None:
    """Bits as in capabilities(7): CHOWN 0, FOWNER 3, KILL 5, SETGID 6, SETUID 7."""
    for name in CONTAINERS:
        status = demo.sh(f"docker exec {name} sh -c 'cat /proc/[0-9]*/status'")
        bounds = {line.split()[1] for line in status.splitlines() if line.startswith("CapBnd")}
        assert all(int(bound, 16) & ~0b11101001 == 0 for bound in bounds), name
        assert {line.split()[1] for line in status.splitlines() if line.startswith("NoNewPrivs")} == {"1"}, name


def test_limits_of_processes_stand_in_the_compose_file(demo: "Demo") -> None:
    services = json.loads(demo.sh("cd /app/etc/ecs; docker compose config --format json"))["services"]
    stated = {service["container_name"]: service["pids_limit"] for service in services.values()}
    assert stated == {name: processes for name, (_, processes, _) in CONTAINERS.items()}
