"""A private PostgreSQL server, set up like the machine's: root connects as postgres and app, others with a password."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host.postgres import Server

RUNNER = SystemRunner()
HBA = """\
local all postgres peer map=admins
local all app peer map=admins
host all all 127.0.0.1/32 md5
"""
IDENT = """\
admins root postgres
admins root app
admins postgres postgres
"""
SETTINGS = """\
listen_addresses = '127.0.0.1'
shared_preload_libraries = 'pg_stat_statements'
logging_collector = off
log_statement = all
log_min_duration_statement = 0
fsync = off
"""


@pytest.fixture(scope="session")
def port() -> int:
    """Return a free port: other processes run tests of this folder at the same time."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def cluster(port: int) -> Iterator[Path]:
    """Yield the folder of a running server: its socket, its data, its log file `log`."""
    folder = Path(tempfile.mkdtemp(prefix="appliance-pg."))
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    data = folder / "data"
    shutil.chown(folder, "postgres", "postgres")
    folder.chmod(0o755)
    RUNNER.run([binaries / "initdb", "--no-sync", "--locale=C.UTF-8", "-D", data], timeout=60, user="postgres")
    (data / "pg_hba.conf").write_text(HBA)
    (data / "pg_ident.conf").write_text(IDENT)
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(f"{SETTINGS}\nport = {port}\nunix_socket_directories = '{folder}'\n")
    control = [str(binaries / "pg_ctl"), "-w", "-D", str(data)]
    RUNNER.run([*control, "-l", str(folder / "log"), "start"], timeout=60, user="postgres")
    try:
        yield folder
    finally:
        RUNNER.run([*control, "-m", "immediate", "stop"], timeout=60, user="postgres")
        shutil.rmtree(folder)


@pytest.fixture
def server(cluster: Path, port: int) -> Server:
    return Server(host=str(cluster), port=port)
