"""A temporary database server next to the real one, with its own files and account."""

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
from ecs_appliance.host.pgbackrest import STANZA, WalArchive
from ecs_appliance.host.postgres import Server

# It owns nothing else, and nobody logs in as it (salt/states/backup).
ACCOUNT = "appliance-scratch"
# In its container, too, the application starts as root before it switches accounts.
ACCESS = f"local all {ROLE} peer map=scratch\n"
PEOPLE = "".join(f"scratch {account} {ROLE}\n" for account in ("root", "app"))
# On the command line, so that postgresql.auto.conf of a backup cannot override them.
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
    # Its log is read: by default, its messages are in the language of the machine.
    "lc_messages": "C",
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
class TemporaryServer:
    """A database server in `folder`, for the purpose `name`; one at a time per name.

    It replays backups from `repository`, which its account or one of `groups` may read. Only root and the application
    can connect, only as the role app. `properties` are further ones of its systemd unit, such as its slice.
    """

    name: str
    folder: Path
    repository: Path
    runner: Runner
    groups: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()

    @property
    def cluster(self) -> Path:
        """The folder of its cluster."""
        return self.folder / "cluster"

    @property
    def socket(self) -> Path:
        """The folder of its socket, for containers that connect to it."""
        return self.folder / "socket"

    @property
    def server(self) -> Server:
        return Server(host=str(self.socket), user=ROLE)

    @property
    def fence(self) -> Fence:
        """The sandbox in which the backup is read, since its content is untrusted."""
        # Immediate shutdown.
        properties = ("KillSignal=SIGQUIT", *self.properties)
        unit = f"appliance-scratch-{self.name}.service"
        return Fence(unit, ACCOUNT, (self.folder,), (self.repository,), self.groups, properties)

    def prepare(self) -> None:
        """Create empty folders and the configuration, after stopping and removing what a killed run left."""
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
    def archive(self) -> WalArchive:
        """The backups in `repository`, to be restored here without touching anything of the real server's."""
        return WalArchive(self.runner, (f"--config={self.folder}/pgbackrest.conf",), self.fence)

    def start(self, *, deadline: float) -> Server:
        """Replay the WAL and serve; raise ApplianceError if the server exits first or takes over `deadline` seconds."""
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
        """Return whether it runs and has refused no connection for any other reason than that it is still replaying."""
        said = (read_optional(self._log) or "").splitlines()
        refused = any("FATAL:" in line and "FATAL:  the database system is" not in line for line in said)
        return not refused and self.fence.runs(self.runner)

    @property
    def _log(self) -> Path:
        return self.folder / "postgresql.log"

    def _reason(self) -> ApplianceError:
        """Return an error with the last message the server logged."""
        reason = postgres.last_words(read_optional(self._log) or "")
        return ApplianceError(f"the database does not start from its backup: {reason}", "try an older backup")

    def remove(self) -> None:
        """Stop the server if it runs, and remove all its files."""
        self.fence.stop(self.runner)
        shutil.rmtree(self.folder, ignore_errors=True)
