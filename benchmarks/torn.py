"""Restore snapshots of a pgBackRest repository taken while it was written, and compare; see docs/decisions/0030.

Run it on an appliance, as root: cd /app/appliance; .venv/bin/python -m benchmarks.torn [ROUNDS]
It creates its own PostgreSQL below FOLDER, with pgbench and a writer of documents running all the time. A round takes
a restore point, then a restic snapshot of vault and repository: `calm` while only WAL is archived, `torn` while
pgBackRest also makes a full backup. Each is restored to the restore point. Goal: no document missing, pgbench's sums
equal, the row from before the point present, the row from after it absent.
"""

import hashlib
import json
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from ecs_appliance.core.runner import CommandError, Process, SystemRunner, end

FOLDER = Path("/volatile/torn")
BINARIES = Path("/usr/lib/postgresql/17/bin")
RUNNER = SystemRunner()
LIVE, COPY = 5999, 5998
SECONDS = 600.0
WORK_SECONDS = 3.0
STANZA = "--stanza=torn"
SUMS = """
    select (select sum(abalance) from pgbench_accounts), (select sum(bbalance) from pgbench_branches),
           (select sum(tbalance) from pgbench_tellers), (select coalesce(sum(delta), 0) from pgbench_history)
"""
CONFIG = f"""\
[global]
repo1-path={FOLDER}/repo
repo1-bundle=y
repo1-block=y
repo1-retention-full=2
compress-type=zst
start-fast=y
archive-async=y
spool-path={FOLDER}/spool
log-path={FOLDER}/log
lock-path={FOLDER}/lock
[torn]
pg1-path={FOLDER}/data
pg1-port={LIVE}
pg1-socket-path={FOLDER}
"""
SETTINGS = f"""
port = {LIVE}
unix_socket_directories = '{FOLDER}'
listen_addresses = ''
archive_mode = on
archive_timeout = 60
hot_standby = off
archive_command = 'pgbackrest --config={FOLDER}/pgbackrest.conf {STANZA} archive-push %p'
"""


@dataclass(frozen=True)
class Moment:
    """A restore point `name`, the `label` of the newest backup then, and the seconds until its WAL was archived."""

    name: str
    label: str
    seconds: float


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with live_server():
        for number in range(rounds):
            for kind in ("calm", "torn"):
                print(json.dumps({"round": number, "kind": kind, **one_round(f"{kind}{number}", kind)}), flush=True)
    shutil.rmtree(FOLDER)


def one_round(name: str, kind: str) -> dict[str, object]:
    """Take a snapshot under load, restore it, and return what was found."""
    time.sleep(WORK_SECONDS)
    mark(f"before {name}")
    moment = make_moment(name)
    mark(f"after {name}")
    backup = threading.Thread(target=pgbackrest, args=("--type=full", "backup"))
    if kind == "torn":
        backup.start()
        time.sleep(0.5)
    began = time.monotonic()
    restic("backup", "--exclude=*.pgbackrest.tmp", f"--tag={name}", str(FOLDER / "vault"), str(FOLDER / "repo"))
    seconds = time.monotonic() - began
    under_way = backup.is_alive()
    if kind == "torn":
        backup.join()
    restore(name)
    found = {**examine(moment, name), "newest_backup_works": can_use_newest(name)}
    return {"wal_s": round(moment.seconds, 2), "restic_s": round(seconds, 1), "backup_still_ran": under_way, **found}


def make_moment(name: str) -> Moment:
    """Create a restore point whose WAL is in the repository."""
    began = time.monotonic()
    label = json.loads(pgbackrest("info", "--output=json"))[0]["backup"][-1]["label"]
    with connect(LIVE) as connection:
        connection.execute("select pg_create_restore_point(%s)", [name])
        row = connection.execute("select pg_walfile_name(pg_current_wal_insert_lsn())").fetchone()
        assert row
        connection.execute("select pg_switch_wal()")
    folder = FOLDER / "repo/archive/torn/17-1" / row[0][:16]
    while not list(folder.glob(f"{row[0]}-*.zst")):
        time.sleep(0.05)
    return Moment(name, label, time.monotonic() - began)


def restore(name: str) -> None:
    """Restore snapshot `name` to FOLDER/copy."""
    shutil.rmtree(FOLDER / "copy", ignore_errors=True)
    snapshot = json.loads(restic("snapshots", "--json", f"--tag={name}"))[0]["id"]
    restic("restore", f"{snapshot}:{FOLDER}", f"--target={FOLDER}/copy")
    RUNNER.run(["chown", "-R", "postgres:", FOLDER / "copy"], timeout=SECONDS)


def examine(moment: Moment, name: str) -> dict[str, object]:
    """Return what the database at the restore point contains, and which of its documents are lost."""
    with server_of_copy(f"--set={moment.label}", "--type=name", f"--target={name}") as connection:
        sums = connection.execute(SUMS).fetchone()
        rows = connection.execute("select name, sha256 from document").fetchall()
        marks = {mark for (mark,) in connection.execute("select name from mark").fetchall()}
        history = connection.execute("select count(*) from pgbench_history").fetchone()
    lost = [name for name, digest in rows if digest_of(FOLDER / "copy/vault" / name) != digest]
    assert sums and history
    return {
        "documents": len(rows),
        "lost": len(lost),
        "transactions": history[0],
        "sums_equal": len(set(sums)) == 1,
        "point_exact": f"before {name}" in marks and f"after {name}" not in marks,
    }


def can_use_newest(name: str) -> bool:
    """Return whether the newest backup in the copy works, too: it may have ended after the restore point."""
    shutil.rmtree(FOLDER / "copy/data", ignore_errors=True)
    try:
        with server_of_copy("--type=name", f"--target={name}"):
            return True
    except CommandError:
        return False


@contextmanager
def server_of_copy(*target: str) -> Iterator[psycopg.Connection]:
    """Run a server from the copy of the repository alone, recovered to `target`, and yield a connection."""
    data = FOLDER / "copy/data"
    paths = (f"--repo1-path={FOLDER}/copy/repo", f"--pg1-path={data}", f"--spool-path={FOLDER}/copy/spool")
    pgbackrest(*paths, *target, "--target-action=promote", "restore")
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"port = {COPY}\narchive_mode = off\n")
        fetch = f'pgbackrest --config={FOLDER}/pgbackrest.conf {" ".join(paths)} {STANZA} archive-get %f "%p"'
        settings.write(f"restore_command = '{fetch}'\n")
    control("start", data)
    try:
        with wait_for(COPY) as connection:
            yield connection
    finally:
        control("stop", data)


def wait_for(port: int) -> psycopg.Connection:
    """Return a connection once recovery has ended; before that, none is accepted."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return connect(port)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def live_server() -> Iterator[None]:
    """Run the server with a first backup, pgbench and the writer of documents until the end of the block."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in ("repo", "spool", "log", "lock", "vault", "restic"):
        (FOLDER / name).mkdir()
    (FOLDER / "pgbackrest.conf").write_text(CONFIG)
    (FOLDER / "password").write_text(secrets.token_hex())
    RUNNER.run(["chown", "-R", "postgres:", FOLDER], timeout=SECONDS)
    RUNNER.run([BINARIES / "initdb", "-D", FOLDER / "data", "--auth=trust"], timeout=SECONDS, user="postgres")
    with (FOLDER / "data/postgresql.conf").open("a") as settings:
        settings.write(SETTINGS)
    pgbackrest("stanza-create", "--no-online")
    control("start", FOLDER / "data")
    access = ["-h", str(FOLDER), "-p", str(LIVE), "-U", "postgres"]
    RUNNER.run([BINARIES / "pgbench", *access, "-q", "-i", "-s", "20", "postgres"], timeout=SECONDS)
    with connect(LIVE) as connection:
        connection.execute("create table document (name text, sha256 text)")
        connection.execute("create table mark (name text)")
    pgbackrest("--type=full", "backup")
    restic("init")
    bench = RUNNER.spawn([BINARIES / "pgbench", *access, "-c", "2", "-T", "86400", "postgres"], output=FOLDER / "bench")
    stop = threading.Event()
    writer = threading.Thread(target=write_documents, args=(stop,))
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
        finish(bench)


def finish(bench: Process) -> None:
    end(bench, grace=10)
    control("stop", FOLDER / "data")


def write_documents(stop: threading.Event) -> None:
    """Write documents as the application does: a file, made durable, then its row."""
    with connect(LIVE) as connection:
        while not stop.is_set():
            data, name = os.urandom(100_000), secrets.token_hex(16)
            with (FOLDER / "vault" / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            row = [name, hashlib.sha256(data).hexdigest()]
            connection.execute("insert into document values (%s, %s)", row)
            time.sleep(0.2)


def mark(name: str) -> None:
    with connect(LIVE) as connection:
        connection.execute("insert into mark values (%s)", [name])


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


def connect(port: int) -> psycopg.Connection:
    return psycopg.connect(host=str(FOLDER), port=port, user="postgres", dbname="postgres", autocommit=True)


def control(action: str, data: Path) -> None:
    log = FOLDER / "log" / "server"
    argv: list[str | Path] = [BINARIES / "pg_ctl", "-D", data, "-l", log, "-w", "-t", "300", "-m", "fast", action]
    RUNNER.run(argv if action == "stop" else [*argv[:-3], action], timeout=SECONDS, user="postgres")


def pgbackrest(*words: str) -> str:
    config = f"--config={FOLDER}/pgbackrest.conf"
    return RUNNER.run(["pgbackrest", config, STANZA, *words], timeout=SECONDS, user="postgres").stdout


def restic(*words: str) -> str:
    access = (f"--repo={FOLDER}/restic", f"--password-file={FOLDER}/password", "--quiet", "--no-cache")
    return RUNNER.run(["restic", *access, *words], timeout=SECONDS).stdout


if __name__ == "__main__":
    try:
        main()
    except CommandError as error:
        sys.exit(f"{error.message}\n{error.output}")
