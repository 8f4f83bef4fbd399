"""A database server beside the real one: on files of its own, of an account of its own, gone once stopped."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core import folders
from ecs_appliance.core.errors import ApplianceError, NotRunningError
from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import postgres
from ecs_appliance.host.cluster import BINARIES, ROLE
from ecs_appliance.host.fence import Fence
from ecs_appliance.host.pgbackrest import STANZA, Archive
from ecs_appliance.host.postgres import Server

# It owns nothing else, and nobody logs in as it (salt/states/backup).
ACCOUNT = "appliance-scratch"
# Also in its container, the application is root before it becomes what it is.
ACCESS = f"local all {ROLE} peer map=scratch\n"
PEOPLE = "".join(f"scratch {account} {ROLE}\n" for account in ("root", "app"))
# On the command line: what a backup brings in its postgresql.auto.conf does not change them.
SETTINGS = {
    "archive_cleanup_command": "",
    "archive_command": "",
    "archive_library": "",
    "archive_mode": "off",
    "autovacuum": "off",
    "event_triggers": "off",
    "fsync": "off",
    "hot_standby": "off",
    "jit": "off",
    "listen_addresses": "",
    "local_preload_libraries": "",
    "logging_collector": "off",
    "recovery_end_command": "",
    "session_preload_libraries": "",
    "shared_buffers": "64MB",
    "shared_preload_libraries": "",
    "ssl": "off",
    "unix_socket_group": "",
    "unix_socket_permissions": "0777",
}
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
    """A server in `folder`, of which only root knows, for the purpose `name`; there is one at a time for each.

    It plays backups in `repository`, which its account, or one of `groups`, may read. Root and the application come in
    as the role app, and nobody as anything else. `properties` of systemd's are its place in the machine's work.
    """

    name: str
    folder: Path
    repository: Path
    runner: Runner
    groups: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()

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
        return Server(host=str(self.socket), user=ROLE)

    @property
    def fence(self) -> Fence:
        """What reads the backup runs in it: its content is a stranger's."""
        # The database server ends at once.
        properties = ("KillSignal=SIGQUIT", *self.properties)
        unit = f"appliance-scratch-{self.name}.service"
        return Fence(unit, ACCOUNT, (self.folder,), (self.repository,), self.groups, properties)

    def prepare(self) -> None:
        """Have its folders, empty, and its configuration; what a killed run left is stopped and removed."""
        self.remove()
        folders.make(self.folder, mode=0o711)
        for name, mode in (("cluster", 0o700), ("socket", 0o755), ("archive", 0o700)):
            folders.make(self.folder / name, ACCOUNT, mode)
        for name, text in self._configuration():
            write_atomic(self.folder / name, text, mode=0o644)

    def _configuration(self) -> Iterator[tuple[str, str]]:
        yield "postgresql.conf", ""
        yield "pg_hba.conf", ACCESS
        yield "pg_ident.conf", PEOPLE
        own = {"repository": self.repository, "own": self.folder / "archive", "cluster": self.cluster}
        yield "pgbackrest.conf", ARCHIVE.format(**own, stanza=STANZA)

    @property
    def archive(self) -> Archive:
        """The backups, to be restored here; nothing of the real server's is touched."""
        return Archive(self.runner, (f"--config={self.folder}/pgbackrest.conf",), self.fence)

    def start(self, *, deadline: float) -> Server:
        """Have it replay the log and serve; raises ApplianceError where it ends before, or after `deadline` seconds."""
        places = {
            "config_file": f"{self.folder}/postgresql.conf",
            "hba_file": f"{self.folder}/pg_hba.conf",
            "ident_file": f"{self.folder}/pg_ident.conf",
            "unix_socket_directories": str(self.socket),
        }
        settings = [word for name, value in {**SETTINGS, **places}.items() for word in ("-c", f"{name}={value}")]
        self.fence.start(self.runner, [BINARIES / "postgres", "-D", self.cluster, *settings], log=self._log)
        try:
            postgres.wait_ready(self.server, deadline=deadline, alive=self._may_come_up)
        except NotRunningError:
            raise self._reason() from None
        return self.server

    def _may_come_up(self) -> bool:
        """Whether it runs, and has let nobody in for no worse reason than that it still replays."""
        said = (read_optional(self._log) or "").splitlines()
        refused = any("FATAL:" in line and "FATAL:  the database system is" not in line for line in said)
        return not refused and self.fence.runs(self.runner)

    @property
    def _log(self) -> Path:
        return self.folder / "postgresql.log"

    def _reason(self) -> ApplianceError:
        """Why it has ended, in its own last words."""
        reason = postgres.last_words(read_optional(self._log) or "")
        return ApplianceError(f"the database does not come up from its backup: {reason}", "an older backup may do")

    def remove(self) -> None:
        """Stop it, where it runs, and remove all of it."""
        self.fence.stop(self.runner)
        shutil.rmtree(self.folder, ignore_errors=True)
