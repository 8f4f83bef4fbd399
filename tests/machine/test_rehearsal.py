"""Rehearsals of recoveries next to a running site: evidence for an auditor or an alarm, and no traces left."""

import json
import random
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.machine.backups import (
    BACKUP,
    PASSWORD,
    REMEMBERED,
    WELL,
    alerts,
    has_ended,
    let_rest,
    restic,
    set_backup,
    target,
)
from tests.machine.people import query, told
from tests.machine.test_recovery import upload

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until

__all__ = ["target"]

REHEARSE = "appliance backup rehearse"
EVIDENCE = "/data/etc/backup/evidence"
PROOFS = "/var/lib/ecs-appliance/documents-proven.json"
METRICS = "/var/lib/prometheus/node-exporter/appliance-backup.prom"
TRACES = (
    "ls -d /volatile/.rehearsal /data/.rehearsal 2>/dev/null || true;"
    " docker ps --all --quiet --filter name=appliance-rehearsal;"
    " pgrep --full '^/usr/lib/postgresql.*rehearsal' || true"
)
KILLS = 2
BUSY = 5
LISTENER = """
import http.server
class Listener(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open("/run/pings", "a") as file:
            file.write(self.path + " " + body + chr(10))
        self.send_response(200 if self.path == "/well" else 500)
        self.end_headers()
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", 8099), Listener).serve_forever()
"""


def metrics(demo: "Demo") -> dict[str, float]:
    lines = demo.sh(f"grep -v '^#' {METRICS}").splitlines()
    return {name: float(value) for name, value in map(str.split, lines)}


def rehearsed(demo: "Demo") -> dict[str, Any]:
    """Return the JSON output of a rehearsal, whether it succeeded or not."""
    done = demo.exec(["sh", "-c", f"{REHEARSE} --json"])
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == (0 if said["ok"] else 1)
    return said


@pytest.fixture
def documents(demo: "Demo", target: str) -> Iterator[int]:
    """Yield the number of documents of a site with documents and a backup."""
    demo.sh("docker exec ecs_ecs.web_1 /start run ./manage.py makedocs 5 --kilobytes 40")
    let_rest(demo)
    told(demo, *BACKUP, "run", "--json")
    yield int(query(demo, "select count(*) from documents_document"))
    assert demo.sh(TRACES) == ""


def test_it_proves_that_the_last_backup_can_be_recovered_from(demo: "Demo", documents: int) -> None:
    demo.sh(f"rm -rf {EVIDENCE} {PROOFS}; systemctl start appliance-rehearsal")
    (page,) = demo.sh(f"ls {EVIDENCE}").splitlines()
    text = " ".join(demo.sh(f"cat {EVIDENCE}/{page}").split())
    assert "This backup CAN be recovered." in text
    assert "Die Sicherung LÄSST SICH wiederherstellen." in text
    assert (
        f"{documents} compared: {documents} match the recorded SHA-256, {documents} decrypted and verified now" in text
    )
    assert "without installing the machine, building the application, comparing" in text
    backup = told(demo, *BACKUP, "list", "--json")["backups"][-1]
    assert backup["id"] in text
    found = metrics(demo)
    assert found["backup_rehearsal_success"] == 1
    assert 0 < found["backup_rto_seconds"] < 60
    assert 0 < found["backup_rpo_seconds"] < 8 * 86400
    assert abs(found["backup_verified_snapshot_time"] - time.time()) < 300
    assert alerts(demo) == WELL


def test_it_gives_way_to_the_site_and_reaches_nothing(demo: "Demo", documents: int) -> None:
    demo.sh(f"systemd-run --quiet --unit rehearsed {REHEARSE}")
    shape = "{{.HostConfig.NetworkMode}} {{.HostConfig.CgroupParent}}"
    question = f"docker inspect appliance-rehearsal --format '{shape}' 2>/dev/null"
    seen = demo.sh(f"until {question}; do systemctl is-active --quiet rehearsed || exit 1; sleep 0.1; done", timeout=60)
    assert seen.strip() == "none rehearsal.slice"
    # Backups continue meanwhile.
    told(demo, *BACKUP, "run", "--json")
    demo.sh("while systemctl is-active --quiet rehearsed; do sleep 0.2; done", timeout=120)


def test_what_it_reads_is_not_removed_meanwhile(demo: "Demo", documents: int) -> None:
    held = "flock /run/appliance/rehearsal.lock"
    said = demo.exec(["sh", "-c", f"{held} appliance backup run --nightly"])
    assert said.returncode == 0
    assert "no backups are removed this time" in said.stderr
    assert demo.exec(["sh", "-c", f"{held} {REHEARSE}"]).returncode == BUSY


def test_an_altered_and_a_missing_document_are_named(demo: "Demo", documents: int) -> None:
    uuids = query(demo, "select replace(uuid::text, '-', '') from documents_document order by uuid limit 2").split()
    altered, missing = (demo.sh(f"find /data/ecs-storage-vault -type f -name {uuid}") for uuid in uuids)
    demo.sh(f"cp -a {altered} /root/altered; cp -a {missing} /root/missing")
    try:
        demo.sh(f"printf altered | dd of={altered} bs=1 seek=300 conv=notrunc status=none; rm {missing}")
        told(demo, *BACKUP, "run", "--json")
        said = rehearsed(demo)
        names = [file.rpartition("/")[2] for file in (altered, missing)]
        assert said["wrong"] == [
            f"document {names[1]} is missing",
            f"document {names[0]} was altered: it differs from what was recorded",
        ]
        assert metrics(demo)["backup_rehearsal_success"] == 0
        assert "cannot be trusted" in alerts(demo)
        assert demo.exec(["systemctl", "start", "appliance-rehearsal"]).returncode != 0
    finally:
        demo.sh(f"mv /root/altered {altered}; mv /root/missing {missing}; systemctl reset-failed")
    told(demo, *BACKUP, "run", "--json")
    assert rehearsed(demo)["wrong"] == []
    assert alerts(demo) == WELL


def test_what_was_decrypted_once_is_compared_by_its_hash(demo: "Demo", documents: int) -> None:
    demo.sh(f"rm -f {PROOFS}")
    first, second = rehearsed(demo), rehearsed(demo)
    assert (first["recorded"], first["decrypted"], first["proven_before"]) == (documents, documents, 0)
    assert (second["recorded"], second["decrypted"], second["proven_before"]) == (documents, 0, documents)
    upload(demo)
    told(demo, *BACKUP, "run", "--json")
    third = rehearsed(demo)
    assert third["wrong"] == []
    assert (third["recorded"], third["decrypted"], third["proven_before"]) == (documents, 1, documents)


def test_one_that_no_key_opens_is_named_though_nobody_has_recorded_it(demo: "Demo", documents: int) -> None:
    """It was damaged before the first backup that would have recorded it."""
    name = upload(demo)
    file = demo.sh(f"find /data/ecs-storage-vault -name {name}")
    demo.sh(f"printf altered | dd of={file} bs=1 seek=300 conv=notrunc status=none")
    try:
        told(demo, *BACKUP, "run", "--json")
        assert [line.rpartition(":")[0] for line in rehearsed(demo)["wrong"]] == [
            f"document {name} cannot be decrypted and verified"
        ]
    finally:
        query(demo, "delete from documents_document where uuid = :'name'::uuid", name=name)
        demo.sh(f"rm {file}; systemctl reset-failed")
    told(demo, *BACKUP, "run", "--json")
    assert rehearsed(demo)["wrong"] == []


def test_an_application_that_does_not_compare_is_no_success(demo: "Demo", documents: int) -> None:
    image = f"ecs/ecs:{demo.sh('cat /app/etc/tags/last_running_ecs')}"
    demo.sh(f"docker tag {image} kept:really; docker tag debian:trixie-slim {image}; rm -rf {EVIDENCE}")
    try:
        said = rehearsed(demo)
    finally:
        demo.sh(f"docker tag kept:really {image}; docker rmi kept:really; systemctl reset-failed")
    (wrong,) = said["wrong"]
    assert wrong.startswith("documents were not compared: ")
    assert (said["ok"], said["documents"]) == (False, None)
    page = demo.sh(f"cat {EVIDENCE}/*")
    assert "NOT compared: " in page
    assert "verified" not in page
    assert metrics(demo)["backup_rehearsal_success"] == 0
    assert "the backup cannot be trusted" in alerts(demo)
    assert rehearsed(demo)["wrong"] == []


def test_rows_that_are_not_those_of_the_backup_are_found(demo: "Demo", documents: int, target: str) -> None:
    """A backup made by hand, whose record claims more rows."""
    demo.sh(f"rm -rf {target}/* {REMEMBERED}")
    set_backup(demo, password=PASSWORD)
    told(demo, *BACKUP, "run", "--json")
    demo.sh('sed -i \'s/"rows": [0-9]*/"rows": 4711/\' /data/etc/backup/record.json')
    folders = "ecs-acme ecs-ca ecs-gpg ecs-pgdump ecs-storage-vault etc pgbackrest"
    demo.sh(restic(f"backup --quiet --host ecs $(cd /data; ls -d {folders} | sed s:^:/data/:)"))
    wrong = rehearsed(demo)["wrong"]
    assert any("documents_document differs from the backup's record" in line and "4711 then" in line for line in wrong)
    told(demo, *BACKUP, "run", "--json")
    assert rehearsed(demo)["wrong"] == []


def test_one_that_is_killed_leaves_nothing_in_the_way(demo: "Demo", documents: int, until: "Until") -> None:
    for number in range(KILLS):
        unit = f"killed-rehearsal-{number}"
        demo.sh(f"systemd-run --quiet --unit {unit} --property=KillMode=process {REHEARSE}")
        time.sleep(random.uniform(0.5, 6))
        demo.exec(["pkill", "--signal", "KILL", "--full", "appliance backup rehearse"])
        until(partial(has_ended, demo, unit), 60)
        demo.sh("systemctl reset-failed")
        assert rehearsed(demo)["wrong"] == []
        assert demo.sh(TRACES) == ""


def test_who_watches_outside_hears_of_each_backup(demo: "Demo", documents: int) -> None:
    secret = f"secret-{time.time_ns()}"
    demo.machine.guest.push("/root/listener.py", LISTENER)
    demo.sh("systemd-run --quiet --unit listener python3 /root/listener.py; rm -f /run/pings; sleep 1")
    try:
        set_backup(demo, ping_url="http://127.0.0.1:8099/well")
        rehearsed(demo)
        made = told(demo, *BACKUP, "run", "--json")["backup"]
        path, body = demo.sh("tail -n 1 /run/pings").split()
        values = dict(pair.split("=") for pair in body.split("&"))
        assert (path, values["backup"]) == ("/well", made[:8])
        assert 0 <= float(values["verified_age_seconds"]) < 300
        set_backup(demo, ping_url=f"http://127.0.0.1:8099/{secret}")
        told(demo, *BACKUP, "run", "--json")
        assert "does not accept the ping: status 500" in alerts(demo)
        assert secret not in demo.sh("journalctl -b -o cat --no-pager", timeout=60)
    finally:
        demo.sh("systemctl stop listener; rm -f /root/listener.py /run/pings")
    set_backup(demo, ping_url="")
    told(demo, *BACKUP, "run", "--json")
    assert alerts(demo) == WELL
