"""A hostile image or backup gains nothing from a rehearsal or a recovery."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.machine.backups import BACKUP, PASSWORD, REMEMBERED, restic, set_backup, target
from tests.machine.people import query, told

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

__all__ = ["target"]

FOLDERS = "ecs-acme ecs-ca ecs-gpg ecs-pgdump ecs-storage-vault etc pgbackrest"
SAVE = f"backup --json --host ecs $(cd /data; ls -d {FOLDERS} | sed s:^:/data/:)"
# Runs in the container as its root and as the application; `app` is a superuser in this backup.
ATTACK = """
import json, os, psycopg2
said = {}
def attempt(who, role, database, statements):
    try:
        connection = psycopg2.connect(host="/run/appliance-rehearsal", user=role, dbname=database)
        connection.autocommit = True
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        said[f"{who} as {role}"] = [row[0] for row in cursor.fetchall()]
    except psycopg2.Error as error:
        said[f"{who} as {role}"] = str(error)
spy = "id -un; ls -A /data/postgresql /run/postgresql /app 2>&1; psql -h /run/postgresql -Atc 'select 1' ecs 2>&1"
spied = f"copy t from program $$( {spy}; touch /etc/pwned ) 2>&1 | expand$$"
run = ["create temp table t (line text)", spied, "select line from t"]
for who, uid in (("root", 0), ("application", 1000)):
    if uid:
        os.setresuid(uid, uid, uid)
    for role in ("postgres", "appliance-scratch"):
        attempt(who, role, "postgres", ["select current_user"])
    attempt(who, "app", "ecs", run)
print("SAID " + json.dumps(said))
"""
# The real rehearsal, except for what the image does.
HOSTILE_IMAGE = f"""
import sys
from dataclasses import replace
sys.path.insert(0, "/app/appliance/src")
from ecs_appliance.lifecycle import rehearsal
from ecs_appliance.lifecycle.context import Context
real = rehearsal.docker.run_once
def heard(runner, task, **options):
    pid = runner.run(["systemctl", "show", "--value", "-p", "MainPID", "appliance-scratch-rehearsal"], timeout=9)
    print("OWNER " + runner.run(["ps", "-o", "user:32=", "-p", pid.stdout.strip()], timeout=9).stdout)
    done = real(runner, replace(task, argv=("/app/env/bin/python", "-c", {ATTACK!r})), **options)
    print(done.stdout + done.stderr)
    return done
rehearsal.docker.run_once = heard
rehearsal.run(Context())
"""


@pytest.fixture
def ours(demo: "Demo", target: str) -> Iterator[str]:
    """Yield a target; afterwards clear the result of a bad rehearsal by a good one."""
    yield target
    told(demo, *BACKUP, "run", "--json")
    demo.sh("appliance backup rehearse", timeout=300)


def test_the_image_gets_no_account_of_the_host_by_a_rehearsal(demo: "Demo", ours: str) -> None:
    """Although the backup has a superuser, since the role app was made one."""
    demo.sh("psql --username=postgres --quiet --command='alter role app superuser'")
    try:
        told(demo, *BACKUP, "run", "--json")
    finally:
        demo.sh("psql --username=postgres --quiet --command='alter role app nosuperuser'")
    done = demo.exec(["/app/appliance/.venv/bin/python", "-"], data=HOSTILE_IMAGE)
    assert done.returncode == 0, done.stderr
    words = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("OWNER", "SAID")))
    assert words["OWNER"].strip() == "appliance-scratch"
    said = json.loads(words["SAID"])
    for who in ("root", "application"):
        for role in ("postgres", "appliance-scratch"):
            assert "authentication failed" in said[f"{who} as {role}"] or "pg_hba.conf" in said[f"{who} as {role}"]
        account, *seen = said[f"{who} as app"]
        assert account == "appliance-scratch"
        assert "17" not in seen
        assert ".s.PGSQL.5432" not in seen
        assert any("No such file" in line for line in seen)
        assert "1" not in seen
    assert demo.sh("ls /etc/pwned 2>/dev/null || true") == ""
    assert demo.sh("systemctl --all --no-legend list-units 'appliance-scratch*'; ls -d /*/.rehearsal || true") == ""


def snapshot(demo: "Demo", prepare: str, cleanup: str) -> str:
    """Back up, as somebody with the password, what `prepare` leaves in /data; undo it by `cleanup`; return the id."""
    try:
        demo.sh(prepare)
        lines = demo.sh(restic(SAVE), timeout=300).splitlines()
    finally:
        demo.sh(cleanup)
    made: dict[str, Any] = json.loads(lines[-1])
    return str(made["snapshot_id"])


@pytest.fixture
def known(demo: "Demo", ours: str) -> Iterator[str]:
    """Yield a target whose password the attacker knows, with a backup of a hostile database."""
    demo.sh(f"rm -rf {ours}/* {REMEMBERED} /root/victim; mkdir -m 755 /root/victim")
    set_backup(demo, password=PASSWORD)
    hostile = (
        "create role evil superuser login",
        "alter system set archive_cleanup_command = 'touch /tmp/pwned'",
        "grant pg_execute_server_program to app",
        "alter role postgres set work_mem = '5MB'",
    )
    clean = (
        "drop role evil",
        "alter system reset archive_cleanup_command",
        "revoke pg_execute_server_program from app",
        "alter role postgres reset all",
    )
    psql = "psql --username=postgres --quiet --set ON_ERROR_STOP=1"
    trigger = "create function bad() returns event_trigger language plpgsql as $$ begin raise 'bad'; end $$;"
    trigger += "create event trigger bad on login execute function bad();"
    trigger += "alter event trigger bad disable"
    try:
        for statement in hostile:
            demo.sh(f'{psql} --command="{statement}"')
        demo.machine.guest.run([*psql.split(), "ecs"], data=trigger, timeout=30)
        demo.sh("runuser -u postgres -- pgbackrest --stanza=ecs --type=diff backup", timeout=300)
        told(demo, *BACKUP, "run", "--json")
        yield ours
    finally:
        demo.sh(f"{psql} --command='drop event trigger if exists bad; drop function if exists bad' ecs")
        for statement in clean:
            demo.exec(["sh", "-c", f'{psql} --command="{statement}"'])
        demo.sh("rm -rf /root/victim /data/.restored-aside-* /data/etc/hooks.restored-*")
        demo.sh(
            "rm -rf /data/*.before-* /data/postgresql/17/*.before-*; rm -f /data/etc/hooks/prepare-ecs.early/00-b.sh"
        )


PLANT = """
ln -s /root/victim /data/ecs-ca/out
cp /bin/dash /data/ecs-ca/shell; chmod 4755 /data/ecs-ca/shell
mknod /data/ecs-ca/disk b 8 0; mkfifo /data/ecs-ca/pipe
printf '#!/bin/sh\\ntouch /root/victim/hooked\\n' > /data/etc/hooks/prepare-ecs.early/00-b.sh
chmod 755 /data/etc/hooks/prepare-ecs.early/00-b.sh
"""
UPROOT = "cd /data; rm -f ecs-ca/out ecs-ca/shell ecs-ca/disk ecs-ca/pipe etc/hooks/prepare-ecs.early/00-b.sh"
ROLES = """
    select rolname from pg_roles
    where rolsuper or (oid >= 16384 and pg_has_role(rolname, 'pg_execute_server_program', 'member'))
"""


@pytest.mark.timeout(1800)
def test_a_backup_brings_data_and_nothing_else(demo: "Demo", known: str) -> None:
    rooted = snapshot(
        demo,
        "mv /data/ecs-ca /data/ecs-ca.kept; ln -s /root/victim /data/ecs-ca",
        "rm /data/ecs-ca; mv /data/ecs-ca.kept /data/ecs-ca",
    )
    rehearsed = demo.exec(["appliance", "backup", "rehearse", "--snapshot", rooted, "--json"], timeout=600)
    said = json.loads(rehearsed.stdout.splitlines()[-1])
    assert any("ecs-ca: not a folder but a link" in line for line in said["wrong"])
    assert demo.sh("stat --format='%U %a' /root/victim") == "root 755"

    hostile = snapshot(demo, PLANT, UPROOT)
    done = demo.exec(["appliance", "recover", "--yes", "--move-aside", "--snapshot", hostile], timeout=1200)
    assert done.returncode == 0, done.stderr
    for line in (
        "ecs-ca/out: a link to /root/victim",
        "ecs-ca/disk: a device",
        "ecs-ca/pipe: a pipe",
        "hooks from the",
    ):
        assert line in done.stderr
    assert "ecs-ca/shell: set-user-ID or set-group-ID bit removed" in done.stderr
    assert demo.sh("find /data/ecs-* /data/etc -perm /6000 -o -type b -o -type p -o -lname '/*'") == ""
    assert demo.sh("ls -A /root/victim; ls /tmp/pwned 2>/dev/null || true") == ""
    assert (
        demo.sh("ls /data/etc/hooks.restored-*/prepare-ecs.early /data/etc/hooks/prepare-ecs.early | grep -c 00-b")
        == "1"
    )
    assert query(demo, ROLES).split() == ["postgres"]
    assert query(demo, "select count(*) from pg_event_trigger") == "0"
    assert query(demo, "show archive_cleanup_command") == ""
    assert query(demo, "select count(*) from pg_db_role_setting") == "0"
    assert demo.answers()
