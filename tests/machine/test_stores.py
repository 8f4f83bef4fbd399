"""Backups to real remote servers: S3, rest, WebDAV and sftp; refusals, and a network that goes down."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.machine.backups import BACKUP, REMEMBERED, alerts, own_settings, set_backup
from tests.machine.people import told
from tests.machine.stores import HOST, REST, SECRET, USER, Stores, serving

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

NAMES = ("s3", "rest", "webdav", "sftp")
PASSWORD = "of-the-stores"
BEGINS_SECONDS, GIVES_UP_SECONDS = 60, 240


@pytest.fixture(scope="module")
def stores(demo: "Demo", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Yield servers that the machine can resolve; restore and activate its own settings afterwards."""
    with own_settings(demo), serving(demo, tmp_path_factory.mktemp("stores")) as found:
        yield found
    demo.sh("appliance converge", timeout=600)


def use(demo: "Demo", stores: Stores, name: str, **other: Any) -> str:
    """Send backups to a new folder of the store `name`, changed by the settings `other`; return the folder's name."""
    folder = f"ecs-{time.time_ns()}"
    nothing: dict[str, Any] = {"user": "", "secret": "", "authority": "", "append_only": False, "host_keys": []}
    demo.sh(f"rm -f {REMEMBERED}")
    known = {**nothing, "ssh_key": "", "password": PASSWORD, **stores.settings(folder)[name], **other}
    set_backup(demo, **known)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_backups(demo: "Demo", stores: Stores, name: str) -> None:
    use(demo, stores, name)
    if name == "webdav":
        demo.sh("appliance converge; command -v rclone", timeout=600)
    demo.sh("docker exec ecs_ecs.web_1 /start run ./manage.py makedocs 2 --kilobytes 40")
    first = told(demo, *BACKUP, "run", "--json")["backup"]
    second = told(demo, *BACKUP, "run", "--nightly", "--json")["backup"]
    assert [one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]] == [first, second]
    demo.sh("appliance backup check --all", timeout=300)
    demo.sh(f"{' '.join(BACKUP)} fetch ecs-ca/ca.cert.pem /root/fetched; cmp /root/fetched /data/ecs-ca/ca.cert.pem")
    demo.sh("rm /root/fetched")
    assert told(demo, "appliance", "recover", "--plan", "--json")["backup"]["id"] == second
    assert "backup" not in alerts(demo)


def test_no_secret_of_a_target_is_seen(demo: "Demo", stores: Stores) -> None:
    use(demo, stores, "rest")
    watch = f"grep -a -l -s '{SECRET}' /proc/[0-9]*/cmdline /proc/[0-9]*/environ | grep -v -e /self/ -e $$"
    demo.machine.guest.push("/root/watch.sh", f"while :; do {watch} >> /run/seen; done\n")
    demo.sh("rm -f /run/seen; systemd-run --quiet --unit watch sh /root/watch.sh")
    try:
        told(demo, *BACKUP, "run", "--json")
    finally:
        demo.sh("systemctl stop watch; rm /root/watch.sh")
    # grep has the words in its own arguments.
    assert {line for line in demo.sh("cat /run/seen; rm -f /run/seen").splitlines() if "environ" in line} == set()
    assert demo.sh("ls -d /run/appliance/backup-target-* 2>/dev/null || true") == ""


def test_a_machine_in_foreign_hands_cannot_take_back_what_is_kept(demo: "Demo", stores: Stores) -> None:
    """An attacker with root there has all its credentials, and tries to delete and overwrite."""
    folder = use(demo, stores, "rest")
    told(demo, *BACKUP, "run", "--json")
    kept = {file: file.read_bytes() for file in (stores.folder / "rest" / folder).rglob("*") if file.is_file()}
    before = [one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]]
    curl = f"curl --silent --insecure --user '{USER}:{SECRET}' --output /dev/null --write-out '%{{http_code}}'"
    attempts = set()
    for file in kept:
        name = file.relative_to(stores.folder / "rest")
        if "locks" in name.parts:
            continue
        # As the protocol names data files: without the folder that the server sorts them into.
        path = f"{folder}/data/{name.name}" if "data" in name.parts else str(name)
        url = f"https://{HOST}:{REST}/{path}"
        attempts.add(demo.sh(f"{curl} --request DELETE {url}"))
        attempts.add(demo.sh(f"{curl} --request POST --data overwritten {url}"))
    assert {code[0] for code in attempts} == {"4"}, attempts
    demo.machine.guest.push(
        "/root/repository", f"rest:https://{USER}:{SECRET.replace(' ', '%20')}@{HOST}:{REST}/{folder}"
    )
    restic = f"echo {PASSWORD} | restic --repository-file /root/repository --password-file /dev/stdin --insecure-tls"
    for words in ("forget --prune --keep-last 1", f"forget {before[0]}", "prune"):
        demo.sh(f"timeout 20 sh -c '{restic} {words}' || true")
    demo.sh("rm /root/repository")
    gone = [file for file, content in kept.items() if "locks" not in file.parts and file.read_bytes() != content]
    assert gone == []
    assert set(before) <= {one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]}
    demo.sh("appliance backup unlock; appliance backup check --all", timeout=300)
    # append_only is set, so the appliance refuses right away.
    refused = demo.exec([*BACKUP, "prune", "--yes"])
    assert (refused.returncode, "this machine removes no backups" in refused.stderr) == (4, True)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("s3", {"url": "s3://store.example.org:9000/no-such-bucket/ecs"}, "there is no such bucket"),
        ("rest", {"secret": "another"}, "does not accept appliance.backup.user and secret"),
        ("webdav", {"secret": "another"}, "does not accept appliance.backup.user and secret"),
        ("rest", {"authority": ""}, "is not trusted"),
        ("webdav", {"authority": ""}, "is not trusted"),
        ("rest", {"url": "rest://store.example.org:8999/ecs"}, "the connection was refused"),
        ("rest", {"url": "rest://nowhere.invalid/ecs"}, "cannot be resolved"),
    ],
)
def test_what_is_wrong_is_said_in_words(
    demo: "Demo", stores: Stores, name: str, change: dict[str, Any], reason: str
) -> None:
    use(demo, stores, name, **change)
    began = time.monotonic()
    failed = demo.exec([*BACKUP, "run"])
    assert failed.returncode != 0
    assert reason in failed.stderr
    assert time.monotonic() - began < 60
    assert SECRET not in failed.stderr


@pytest.mark.parametrize("name", [pytest.param("rest", marks=pytest.mark.slow), "sftp"])
def test_a_network_that_goes_away_half_way_costs_one_run(demo: "Demo", stores: Stores, name: str) -> None:
    locks = stores.folder / name / use(demo, stores, name) / "locks"
    told(demo, *BACKUP, "run", "--json")
    before = [one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]]
    demo.sh("head -c 500M /dev/urandom > /data/ecs-pgdump/large")
    cut = f"ip route add blackhole {stores.neighbour.addresses[0]}"
    try:
        demo.sh("systemd-run --quiet --unit cut-off appliance backup run")
        began = time.monotonic()
        while not any(locks.iterdir()):
            assert time.monotonic() - began < BEGINS_SECONDS
            time.sleep(0.05)
        demo.sh(cut)
        began = time.monotonic()
        while demo.exec(["systemctl", "is-active", "--quiet", "cut-off"]).returncode == 0:
            assert time.monotonic() - began < GIVES_UP_SECONDS
            time.sleep(1)
    finally:
        demo.sh(f"ip route del blackhole {stores.neighbour.addresses[0]}; rm -f /data/ecs-pgdump/large")
    assert demo.sh("systemctl show --property=Result --value cut-off") != "success"
    assert "backup failed" in alerts(demo)
    demo.sh("systemctl reset-failed cut-off")
    again = told(demo, *BACKUP, "run", "--json")["backup"]
    listed = [one["id"] for one in told(demo, *BACKUP, "list", "--json")["backups"]]
    assert listed == [*before, again]
    demo.sh("appliance backup check --all", timeout=300)
    assert "backup failed" not in alerts(demo)
