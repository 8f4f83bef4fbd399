"""Recover a site from an archive of the predecessor: in a folder, on a server, and damaged."""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from ecs_appliance.core.runner import SystemRunner
from tests.archives import KEPT, Archiver, make_key
from tests.machine.backups import REMEMBERED, own_settings, refused, set_backup
from tests.machine.people import Certificate, make_person, query, told
from tests.machine.stores import serving
from tests.machine.test_recovery import State, state_of, upload

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

FOLDER, OWN = "/volatile/old-archive", "/volatile/own-backups"
# As the predecessor's manual has it: the former spelling still works.
RECOVER = ("recover-from-backup.sh", "--yes-i-am-sure")
LEFT = "ls -d /run/appliance/old-archive-* /run/appliance/backup-target-* /data/.old-archive* /volatile/duplicity"


@dataclass(frozen=True)
class Archived:
    """The archive, and the state of the site at its last complete backup."""

    archiver: Archiver
    state: State
    certificate: Path


@pytest.fixture(scope="module")
def archived(demo: "Demo", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archived]:
    """Yield three backups of the site in the predecessor's format; the third was killed."""
    key = YAML(typ="safe").load(demo.machine.guest.pull("/app/env.yml"))["appliance"]["backup"]["encrypt"]
    work = tmp_path_factory.mktemp("old")
    archiver = Archiver(work / "data", work / "target", work, key)
    person = make_person(demo, f"{time.time_ns():x}")
    certificate = person.certificate(f"old {time.time_ns():x}", work)
    with own_settings(demo):
        demo.sh(f"rm -rf {OWN}; mkdir {OWN}")
        set_backup(demo, url=f"file://{OWN}/")
        demo.sh("docker exec ecs_ecs.web_1 /start run ./manage.py makedocs 30 --kilobytes 300")
        keep(demo, archiver)
        upload(demo)
        keep(demo, archiver)
        state = state_of(demo)
        upload(demo)
        keep(demo, archiver)
        archiver.cut_off_last()
        yield Archived(archiver, state, certificate.file)
        demo.sh(f"rm -rf {FOLDER} {OWN}")


def keep(demo: "Demo", archiver: Archiver) -> None:
    """Add a backup to the archive."""
    demo.sh("appliance backup run --nightly", timeout=600)
    archiver.source.mkdir(exist_ok=True)
    for name in KEPT:
        source = demo.machine.folder.root / "data" / name
        SystemRunner().run(["cp", "-a", "--no-target-directory", source, archiver.source / name], timeout=120)
    archiver.back_up()
    # Backup times have a resolution of one second.
    time.sleep(1.1)


def lose(demo: "Demo") -> None:
    """Remove everything that belongs to the site."""
    demo.sh("systemctl stop appliance; dropdb --username=postgres --force ecs; rm -f /app/etc/tags/last_running_ecs")
    demo.sh("find /data/ecs-storage-vault /data/ecs-ca /data/ecs-pgdump -mindepth 1 -delete")


def bring(demo: "Demo", archiver: Archiver) -> None:
    """Copy the archive to FOLDER, and set appliance.backup.url to it."""
    target = demo.machine.folder.root / FOLDER.lstrip("/")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(archiver.target, target)
    set_backup(demo, url=f"file://{FOLDER}/")


def files_of(demo: "Demo") -> dict[str, str]:
    return {
        file: text for file in demo.sh(f"ls {FOLDER}").splitlines() for text in [demo.sh(f"sha256sum {FOLDER}/{file}")]
    }


def test_a_lost_site_comes_back(demo: "Demo", archived: Archived) -> None:
    lose(demo)
    bring(demo, archived.archiver)
    before = files_of(demo)
    assert demo.exec(["sh", "-c", "command -v duplicity"]).returncode != 0
    plan = told(demo, "appliance", "recover", "--plan", "--json")
    assert plan["in_the_way"] == []
    assert plan["backup"]["id"] in " ".join(before)
    said = told(demo, *RECOVER, "--json")
    assert said["backup"] == plan["backup"]["id"]
    assert "set it to an empty target" in said["advice"]
    assert demo.answers()
    assert_same(demo, archived.state)
    assert files_of(demo) == before
    assert Certificate(demo, "old", archived.certificate).answers() == {200}
    assert demo.sh(f"{LEFT} 2>/dev/null || true") == ""
    assert demo.sh("systemctl --failed --no-legend") == ""


def assert_same(demo: "Demo", state: State) -> None:
    now = state_of(demo)
    assert (now.rows, now.people) == (state.rows, state.people)
    assert whole_seconds(now.files) == whole_seconds(state.files)


def whole_seconds(files: set[str]) -> set[str]:
    """Truncate the times to whole seconds, as in an archive."""
    return {re.sub(r"\.\d{10} ", " ", file) for file in files}


def test_it_is_never_written_to(demo: "Demo", archived: Archived) -> None:
    bring(demo, archived.archiver)
    refused(demo.exec(["appliance", "backup", "run"]), "archive of the predecessor")
    set_backup(demo, url=f"file://{OWN}/")
    told(demo, "appliance", "backup", "run", "--json")


def test_a_recovery_that_is_killed_goes_on(demo: "Demo", archived: Archived) -> None:
    """While the dump is loaded; interruptions between files are in the unit tests."""
    bring(demo, archived.archiver)
    refused(demo.exec(RECOVER), "this machine already has data")
    demo.sh(f"systemd-run --quiet --unit killed {' '.join(RECOVER)} --move-aside")
    wanted, deadline = '"phase": "database"', time.monotonic() + 120
    while wanted not in demo.sh("cat /var/lib/ecs-appliance/recovery.json 2>/dev/null || true"):
        assert time.monotonic() < deadline
    demo.sh("systemctl kill --signal=KILL killed; systemctl reset-failed killed || true")
    demo.sh(" ".join(RECOVER), timeout=600)
    assert_same(demo, archived.state)
    assert demo.sh(f"{LEFT} 2>/dev/null || true") == ""


def test_another_key_is_told_of(demo: "Demo", archived: Archived) -> None:
    """Before anything is touched."""
    bring(demo, archived.archiver)
    set_backup(demo, encrypt=make_key())
    try:
        refused(demo.exec([*RECOVER, "--move-aside"]), "encrypted for a different key")
    finally:
        set_backup(demo, encrypt=archived.archiver.key)
    assert demo.answers()
    assert_same(demo, archived.state)


@pytest.mark.slow
def test_from_s3(demo: "Demo", archived: Archived, tmp_path: Path) -> None:
    with serving(demo, tmp_path) as stores:
        stores.fill_bucket(archived.archiver.target, "old")
        set_backup(demo, **stores.settings("old")["s3"])
        lose(demo)
        demo.sh(f"rm -f {REMEMBERED}")
        told(demo, *RECOVER, "--json")
        refused(demo.exec(["appliance", "backup", "run"]), "from which this machine was recovered")
    assert_same(demo, archived.state)


def test_from_a_server_documents_of_a_damaged_volume_are_named(
    demo: "Demo", archived: Archived, tmp_path: Path
) -> None:
    with serving(demo, tmp_path) as stores:
        kept = tmp_path / "sftp/old"
        shutil.copytree(archived.archiver.target, kept)
        set_backup(demo, **stores.settings("old")["sftp"])
        # Documents come last in it.
        last = len(list(kept.glob("duplicity-full.*.difftar.gpg")))
        (volume,) = kept.glob(f"duplicity-full.*.vol{last - 1}.difftar.gpg")
        whole = volume.read_bytes()
        volume.write_bytes(whole[:5000] + b"altered" + whole[5007:])
        done = demo.exec([*RECOVER, "--move-aside"], timeout=600)
        assert done.returncode == 1, done.stderr
        lost = whole_seconds(archived.state.files) - whole_seconds(state_of(demo).files)
        names = {line.split()[0].rpartition("/")[2] for line in lost}
        assert 0 < len(names) < len(archived.state.files), done.stderr
        assert f"documents are missing, damaged or unreadable: {len(names)}" in done.stderr
        assert all(name in done.stderr for name in names)
        volume.write_bytes(whole)
        demo.sh(f"{' '.join(RECOVER)} --move-aside", timeout=600)
    assert_same(demo, archived.state)
    assert query(demo, "select count(*) from pg_database where datname like 'ecs.before-%'") != "0"
