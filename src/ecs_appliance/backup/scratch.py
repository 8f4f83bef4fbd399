"""A database server beside the real one: on files of its own, reached by its own socket only, gone once stopped."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, NotRunningError
from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.runner import CommandError, Runner
from ecs_appliance.host import postgres
from ecs_appliance.host.pgbackrest import STANZA, USER, Archive
from ecs_appliance.host.postgres import Server

BINARIES = Path("/usr/lib/postgresql/17/bin")
START_SECONDS, STOP_SECONDS = 60, 120
ACCESS = "local all postgres peer map=admin\nlocal all app peer map=admin\n"
IDENT = "admin root postgres\nadmin root app\nadmin app app\n"
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}/socket'
hba_file = '{folder}/pg_hba.conf'
ident_file = '{folder}/pg_ident.conf'
archive_mode = off
hot_standby = off
autovacuum = off
fsync = off
jit = off
shared_buffers = 64MB
shared_preload_libraries = ''
"""
ARCHIVE = """
[global]
repo1-path={repository}
spool-path={own}
lock-path={own}
log-path={own}
process-max=2

[{stanza}]
pg1-path={cluster}
"""


@dataclass(frozen=True)
class Scratch:
    """A server in `folder`, which only root and the account postgres enter."""

    folder: Path
    runner: Runner

    @property
    def cluster(self) -> Path:
        """Its files."""
        return self.folder / "cluster"

    @property
    def socket(self) -> Path:
        """The folder of its socket, for containers that are to reach it."""
        return self.folder / "socket"

    @property
    def server(self) -> Server:
        return Server(host=str(self.socket))

    def prepare(self) -> None:
        """Have its folders, empty, and its configuration; what a killed run left is stopped and removed."""
        self.remove()
        self.folder.mkdir(parents=True)
        shutil.chown(self.folder, "root", USER)
        self.folder.chmod(0o710)
        for name, mode in (("cluster", 0o700), ("socket", 0o755), ("archive", 0o700)):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, USER, USER)
            (self.folder / name).chmod(mode)
        files = {"postgresql.conf": SETTINGS.format(folder=self.folder), "pg_hba.conf": ACCESS, "pg_ident.conf": IDENT}
        for name, text in files.items():
            write_atomic(self.folder / name, text, mode=0o644)

    def archive(self, repository: Path) -> Archive:
        """The backups of the database in `repository`, to be restored here; nothing of the real server's is touched."""
        text = ARCHIVE.format(repository=repository, own=self.folder / "archive", cluster=self.cluster, stanza=STANZA)
        config = self.folder / "pgbackrest.conf"
        write_atomic(config, text, mode=0o644)
        return Archive(self.runner, (f"--config={config}",))

    def start(self, *, deadline: float) -> Server:
        """Have it replay the log and serve; raises ApplianceError where it ends before, or after `deadline` seconds."""
        settings = f"-c config_file={self.folder}/postgresql.conf"
        log = self.folder / "archive" / "postgresql.log"
        try:
            # It notices where the server ends at once, and does not wait for the end of the replay.
            self._control("start", f"--options={settings}", f"--log={log}", timeout=START_SECONDS)
        except CommandError:
            raise self._reason() from None
        try:
            postgres.wait_ready(self.server, deadline=deadline, alive=(self.cluster / "postmaster.pid").exists)
        except NotRunningError:
            raise self._reason() from None
        return self.server

    def _reason(self) -> ApplianceError:
        """Why it has ended, in its own last words."""
        reason = postgres.last_words(read_optional(self.folder / "archive" / "postgresql.log") or "")
        return ApplianceError(f"the database does not come up from its backup: {reason}", "an older backup may do")

    def remove(self) -> None:
        """Stop it, where it runs, and remove all of it."""
        if (self.cluster / "postmaster.pid").exists():
            # It exits with 1 where what the file names is not a server of these files.
            self._control("stop", "--mode=immediate", timeout=STOP_SECONDS, ok=(0, 1))
        shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self, *words: str, timeout: float, ok: tuple[int, ...] = (0,)) -> None:
        argv: list[str | Path] = [BINARIES / "pg_ctl", words[0], f"--pgdata={self.cluster}", *words[1:]]
        self.runner.run(argv, timeout=timeout, user=USER, cwd=Path("/"), ok=ok)
