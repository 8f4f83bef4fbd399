"""A site is lost completely and recovered on a new machine, from nothing but env.yml and its backups."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from ecs_appliance.core.runner import SystemRunner
from lab.demo import Demonstration
from lab.health import CERTIFICATE
from lab.progress import PlainProgress
from tests.machine.backups import own_settings, quiet, set_backup
from tests.machine.people import Certificate, is_logged_in, log_in, make_person, query, told
from tests.machine.people import client as browse
from tests.machine.stores import serving

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

TARGET = "/volatile/ecs-backup-test"
DOCUMENTS = 150
RTO_SECONDS = 300
# Between two documents of `uploading`.
PAUSE_SECONDS = 10
MANAGE = "docker exec ecs_ecs.web_1 /start run ./manage.py"
VAULTCHECK = "docker exec ecs_ecs.web_1 /start run python3 -m tests.vaultcheck"
ROWS = "select uuid, name, sha256, vault_sha256, uploaded_by_id, uploaded_at from documents_document order by uuid"
# All users, with their passwords.
PEOPLE = "select id, email, password, is_active from auth_user order by id"
FILES = "find . -type f ! -name '.*' -printf '%P %m %U %G %T@ ' -exec sha256sum {} \\;"


@dataclass(frozen=True)
class State:
    """What must be the same on both machines."""

    rows: set[str]
    people: str
    files: set[str]


@dataclass(frozen=True)
class Rebuilt:
    """The new machine, the state of the old one at its last backup, and the output of the recovery."""

    site: "Demo"
    old: State
    said: dict[str, object]
    certificate: Path
    login: tuple[str, str]
    refused: int


def state_of(demo: "Demo") -> State:
    return State(
        rows=set(query(demo, ROWS).splitlines()),
        people=query(demo, PEOPLE),
        files=set(demo.sh(f"cd /data/ecs-storage-vault; {FILES}").splitlines()),
    )


@contextmanager
def uploading(demo: "Demo") -> Iterator[None]:
    """Keep storing documents in the background."""
    demo.sh(f"systemd-run --quiet --unit uploads sh -c 'while :; do {MANAGE} makedocs 5 --kilobytes 40; done'")
    try:
        yield
    finally:
        demo.sh("systemctl stop uploads")


@pytest.fixture(scope="module")
def rebuilt(
    demo: "Demo", install: Callable[[Demonstration], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rebuilt]:
    """Back up a site in use, give a new machine env.yml and the backups, and recover."""
    person = make_person(demo, f"{time.time_ns():x}")
    certificate = person.certificate(f"before {time.time_ns():x}", tmp_path_factory.mktemp("certificates"))
    missing = DOCUMENTS - int(query(demo, "select count(*) from documents_document"))
    if missing > 0:
        demo.sh(f"{MANAGE} makedocs {missing} --kilobytes 40", timeout=600)
    name = f"{demo.name}-new" if os.environ.get("ECS_TEST_MACHINE") else f"new-{os.getpid()}"
    maker = Demonstration(name, PlainProgress(sys.stderr))
    try:
        # The last backup is the one that was made during the uploads.
        with quiet(demo):
            demo.sh("appliance backup run", timeout=600)
            before = state_of(demo)
            with uploading(demo):
                time.sleep(5)
                told(demo, "appliance", "backup", "run", "--json")
            install(maker)
            made = recovered(demo, maker, before, certificate.file, (person.address, person.password))
        yield made
    finally:
        maker.machine.destroy()


def test_a_machine_that_speaks_austrian(rebuilt: Rebuilt) -> None:
    """After the installation, its own locale still exists next to the database's, and the cluster runs."""
    assert {"de_AT.utf8", "de_DE.utf8", "en_US.utf8"} <= set(rebuilt.site.sh("locale -a").split())
    assert rebuilt.site.sh("cat /etc/default/locale") == "LANG=de_AT.UTF-8"
    assert "17 main 5432 online" in rebuilt.site.sh("LANG=de_AT.UTF-8 pg_lsclusters --no-header 2>&1")
    assert rebuilt.site.sh("LANG=de_AT.UTF-8 perl -e 1 2>&1") == ""
    shown = query(rebuilt.site, "select datcollate from pg_database where datname = 'postgres'")
    assert shown == "C.UTF-8"


def recovered(demo: "Demo", maker: Demonstration, before: State, certificate: Path, login: tuple[str, str]) -> Rebuilt:
    """Give `maker`'s new machine the sources, env.yml and the backups of `demo`, and recover."""
    guest, address = maker.machine.guest, str(maker.machine.spec.network.address)
    # Both follow the same application: a commit with unrelated history would be refused.
    sources, own = (machine.folder.git for machine in (demo.machine, maker.machine))
    for name in ("ecs.git", "ecs-docs.git"):
        SystemRunner().run(["cp", "-a", f"{sources / name}/.", own / name], timeout=60)
    env = demo.machine.guest.pull("/app/env.yml").decode().replace(demo.address, address)
    guest.push("/app/env.yml", env, mode=0o600)
    guest.sh("systemctl start appliance", timeout=600)
    page = json.loads(guest.sh("cat /var/www/html/status.json"))
    assert page["kind"] == "no-database"
    assert "recover-from-backup.sh" in page["next"]
    source, target = (machine.folder.root / TARGET.lstrip("/") for machine in (demo.machine, maker.machine))
    SystemRunner().run(["cp", "-a", f"{source}/.", target], timeout=300)
    refused = guest.run(["recover-from-backup.sh"], timeout=60, ok=range(256)).returncode
    command = ["recover-from-backup.sh", "--yes", "--json"]
    said = json.loads(guest.run(command, timeout=1200).lines()[-1])
    maker.ca_file.write_bytes(guest.pull(CERTIFICATE))
    ca_file = str(maker.ca_file)
    site = replace(demo, name=maker.machine.name, url=f"https://{address}/", address=address, ca_file=ca_file)
    return Rebuilt(site, before, said, certificate, login, refused)


@pytest.mark.timeout(1800)
def test_the_site_is_up_again_in_time(rebuilt: Rebuilt) -> None:
    assert rebuilt.refused == 4
    assert rebuilt.site.answers()
    assert rebuilt.site.sh("systemctl --failed --no-legend") == ""
    assert float(str(rebuilt.said["seconds"])) < RTO_SECONDS


def test_every_row_and_every_byte_of_before_the_backup_is_there(rebuilt: Rebuilt) -> None:
    new = state_of(rebuilt.site)
    assert rebuilt.old.rows <= new.rows
    assert len(rebuilt.old.rows) >= DOCUMENTS
    assert rebuilt.old.files <= new.files
    # Everything stored up to the time of the backup, on a site where documents were being stored all the time.
    newest = query(rebuilt.site, "select extract(epoch from max(uploaded_at)) from documents_document")
    taken = datetime.fromisoformat(str(rebuilt.said["taken"])).timestamp()
    assert taken - PAUSE_SECONDS < float(newest)
    assert new.people == rebuilt.old.people


def test_what_was_uploaded_meanwhile_is_whole(rebuilt: Rebuilt) -> None:
    """Every recovered row has its document; a document without a row came after the snapshot's point in time."""
    said = rebuilt.site.sh(f"{VAULTCHECK} --decrypt --orphans-ok", timeout=600)
    found = json.loads(said.splitlines()[-1])
    assert found["missing"] == found["altered"] == []
    vault = rebuilt.said["vault"]
    assert isinstance(vault, dict)
    assert vault["documents"] == found["documents"]
    assert found["documents"] > len(rebuilt.old.rows)


def test_the_old_client_certificate_and_password_open_it(rebuilt: Rebuilt) -> None:
    certificate = Certificate(rebuilt.site, "before", rebuilt.certificate)
    assert certificate.answers() == {200}
    with browse(rebuilt.site, rebuilt.certificate) as browser:
        assert log_in(browser, *rebuilt.login)
        assert is_logged_in(browser)


def test_the_next_backup_goes_on_where_the_last_one_ended(rebuilt: Rebuilt) -> None:
    with quiet(rebuilt.site):
        listed = told(rebuilt.site, "appliance", "backup", "list", "--json")["backups"]
        made = told(rebuilt.site, "appliance", "backup", "run", "--json")
        after = told(rebuilt.site, "appliance", "backup", "list", "--json")["backups"]
    assert [one["id"] for one in after] == [*(one["id"] for one in listed), made["backup"]]
    assert rebuilt.site.exec(["appliance", "backup", "check", "--all"]).returncode == 0


def test_data_are_in_the_way_and_are_kept_aside(rebuilt: Rebuilt) -> None:
    site = rebuilt.site
    before = state_of(site)
    refused = site.exec(["appliance", "recover", "--yes"])
    assert refused.returncode == 4
    assert "--move-aside" in refused.stderr
    assert state_of(site) == before
    assert site.answers()
    site.sh("appliance recover --yes --move-aside", timeout=900)
    assert site.answers()
    assert state_of(site) == before
    kept = site.sh("ls -d /data/ecs-storage-vault.before-* /data/postgresql/17/main.before-*").splitlines()
    assert len(kept) >= 2


def upload(site: "Demo") -> str:
    """Store a new document; return its uuid without hyphens."""
    command = "docker exec -i ecs_ecs.web_1 /start run ./manage.py uploaddoc - --user presenter1@example.org --name new"
    return site.sh(f"head -c 50000 /dev/urandom | {command}").splitlines()[-1].replace("-", "")


def names(site: "Demo") -> set[str]:
    return set(query(site, "select replace(uuid::text, '-', '') from documents_document").splitlines())


def test_a_moment_between_two_documents(rebuilt: Rebuilt) -> None:
    site = rebuilt.site
    before = upload(site)
    time.sleep(2)
    moment = site.sh("date '+%Y-%m-%d %H:%M:%S'")
    time.sleep(2)
    after = upload(site)
    told(site, "appliance", "backup", "run", "--json")
    site.sh(f"appliance recover --yes --move-aside --to '{moment}'", timeout=900)
    assert site.answers()
    assert before in names(site)
    assert after not in names(site)
    # It remains as a file without a row, so that nobody has to lose it.
    assert site.sh(f"find /data/ecs-storage-vault -name {after}") != ""


def damage(site: "Demo", snapshot: str, document: str) -> None:
    """Flip a byte of `document` in the repository."""
    folder = "/".join(document[:4])
    script = f"""
import json, os, subprocess, sys
sys.path.insert(0, "/app/appliance/src")
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.activation import load_active
from ecs_appliance.env.backup_password import backup_password
password = backup_password(load_active(Paths()).appliance.backup)
def restic(*words):
    argv = ["restic", "--repo={TARGET}", "--password-file=/dev/stdin", *words]
    return json.loads(subprocess.run(argv, input=password, capture_output=True, text=True, check=True).stdout)
nodes = restic("cat", "tree", "{snapshot}:/data/ecs-storage-vault/{folder}")["nodes"]
(blob,) = next(node["content"] for node in nodes if node["name"] == "{document}")
for index in os.listdir("{TARGET}/index"):
    for pack in restic("cat", "index", index)["packs"]:
        for found in pack["blobs"]:
            if found["id"] == blob:
                with open("{TARGET}/data/" + pack["id"][:2] + "/" + pack["id"], "r+b") as file:
                    file.seek(found["offset"] + 1000)
                    byte = file.read(1)[0]
                    file.seek(found["offset"] + 1000)
                    file.write(bytes([byte ^ 1]))
"""
    done = site.exec(["/app/appliance/.venv/bin/python", "-"], data=script)
    assert done.returncode == 0, done.stderr


def test_a_document_that_the_backup_has_lost_is_named(rebuilt: Rebuilt) -> None:
    site = rebuilt.site
    document = upload(site)
    made = told(site, "appliance", "backup", "run", "--json")["backup"]
    damage(site, made, document)
    others = names(site) - {document}
    done = site.exec(["appliance", "recover", "--yes", "--move-aside"], timeout=900)
    assert done.returncode == 1
    assert "documents are missing, damaged or unreadable: 1" in done.stderr
    assert document in done.stderr
    assert site.answers()
    assert names(site) == {*others, document}
    query(site, "delete from documents_document where uuid = :'document'::uuid", document=document)
    site.sh(f"find /data/ecs-storage-vault -name {document} -delete")
    told(site, "appliance", "backup", "run", "--json")


def test_a_database_that_does_not_come_up_is_told_of_at_once(rebuilt: Rebuilt) -> None:
    """A backup whose WAL ends before its recovery target; recovering another backup still works."""
    site = rebuilt.site
    whole = told(site, "appliance", "backup", "run", "--json")["backup"]
    before = state_of(site)
    password = YAML(typ="safe").load(site.machine.guest.pull("/app/env.yml"))["appliance"]["backup"]["password"]
    site.sh('sed -i \'s/"point": "[^"]*"/"point": "never"/\' /data/etc/backup/record.json')
    folders = "ecs-acme ecs-ca ecs-gpg ecs-pgdump ecs-storage-vault etc pgbackrest"
    saved = f"$(cd /data; ls -d {folders} | sed s:^:/data/:)"
    restic = f"restic --repo {TARGET} --password-file /dev/stdin backup --quiet --host ecs {saved}"
    with quiet(site):
        assert site.exec(["sh", "-c", restic], data=password).returncode == 0
        began = time.monotonic()
        done = site.exec(["appliance", "recover", "--yes", "--move-aside"], timeout=300)
    assert done.returncode == 1
    assert "recovery ended before configured recovery target was reached" in done.stderr
    assert time.monotonic() - began < 120
    site.sh(f"appliance recover --yes --snapshot {whole}", timeout=600)
    assert site.answers()
    assert state_of(site) == before


def lose_all(site: "Demo") -> None:
    """Remove everything except env.yml and what an installation creates."""
    site.sh("systemctl stop appliance; dropdb --username=postgres --force ecs; rm -f /app/etc/tags/last_running_ecs")
    folders = "ecs-acme ecs-ca ecs-gpg ecs-pgdump ecs-storage-vault etc/backup pgbackrest"
    site.sh(f"cd /data; find {folders} -mindepth 1 -delete; rm -rf /data/*.before-* /volatile/restic/*")


@pytest.mark.parametrize(
    "name", ["s3", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rest", "webdav", "sftp"))]
)
def test_a_site_that_lost_all_comes_back_from_a_server(rebuilt: Rebuilt, tmp_path: Path, name: str) -> None:
    site = rebuilt.site
    with own_settings(site), serving(site, tmp_path) as stores:
        set_backup(site, **stores.settings("ecs")[name])
        if name == "webdav":
            site.sh("appliance converge", timeout=600)
        told(site, "appliance", "backup", "run", "--json")
        state = state_of(site)
        lose_all(site)
        said = told(site, "recover-from-backup.sh", "--yes", "--json")
    assert site.answers()
    assert state_of(site) == state
    assert float(said["seconds"]) < RTO_SECONDS
    with browse(site, rebuilt.certificate) as browser:
        assert log_in(browser, *rebuilt.login)


@pytest.mark.parametrize("phase", ["files", "database"])
def test_a_recovery_that_is_cut_off_goes_on(rebuilt: Rebuilt, phase: str) -> None:
    """The power fails as soon as the phase has started."""
    site = rebuilt.site
    told(site, "appliance", "backup", "run", "--json")
    before = state_of(site)
    site.sh("systemd-run --quiet --unit cut appliance recover --yes --move-aside")
    wanted = f'"phase": "{phase}"'
    deadline = time.monotonic() + 120
    while wanted not in site.sh("cat /var/lib/ecs-appliance/recovery.json 2>/dev/null || true"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    site.machine.kill()
    site.machine.start()
    site.sh("appliance recover --yes", timeout=900)
    assert site.answers()
    after = state_of(site)
    assert (after.rows, after.files) == (before.rows, before.files)
    assert site.sh("ls /var/lib/ecs-appliance/recovery.json 2>/dev/null || true") == ""
