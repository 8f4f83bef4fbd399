"""Real servers that store backups, next to the machine: S3, rest (append-only), WebDAV and sftp."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecs_appliance.core.runner import SystemRunner
from tests.authorities import Authority
from tests.machine.locked import provide
from tests.machine.neighbour import Neighbour, moved_in

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

MOTO = Path(__file__).with_name("moto.txt")
HOST = "store.example.org"
USER, SECRET = "keeper", "a word that only the keeper knows"
S3, REST, WEBDAV, SSH = 9000, 8000, 8081, 2222
BUCKET = "backups"
UP_SECONDS = 60
SSHD = """
Port {port}
ListenAddress 0.0.0.0
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
ForceCommand internal-sftp
"""


@contextmanager
def serving(demo: "Demo", folder: Path) -> "Iterator[Stores]":
    """Run the servers in a neighbour of `demo`'s machine, which resolves their name."""
    with moved_in(demo.machine) as neighbour:
        stores = Stores(neighbour, folder, Authority("of the stores"))
        demo.sh(f"echo '{neighbour.addresses[0]} {HOST}' >> /etc/hosts")
        try:
            with stores.serving():
                yield stores
        finally:
            demo.sh(f"sed -i '/{HOST}/d' /etc/hosts")


@dataclass(frozen=True)
class Stores:
    """The servers in `neighbour`. They store data in `folder`, except for S3, which keeps it in memory."""

    neighbour: Neighbour
    folder: Path
    authority: Authority

    def settings(self, folder: str) -> Mapping[str, dict[str, Any]]:
        """Return appliance.backup's settings for each server, with backups in its `folder`."""
        known = {"user": USER, "secret": SECRET, "authority": self.authority.chain}
        key = (self.folder / "client").read_text()
        host = " ".join((self.folder / "host.pub").read_text().split()[:2])
        return {
            "s3": {"url": f"s3://{HOST}:{S3}/{BUCKET}/{folder}", **known},
            "rest": {"url": f"rest://{HOST}:{REST}/{folder}", "append_only": True, **known},
            "webdav": {"url": f"webdavs://{HOST}:{WEBDAV}/{folder}", **known},
            "sftp": {
                "url": f"sftp://root@{HOST}:{SSH}/{self.folder}/sftp/{folder}",
                "host_keys": [host],
                "ssh_key": key,
            },
        }

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run all of them."""
        key, chain = self.authority.server(HOST)
        for name, text in (("key.pem", key), ("chain.pem", chain)):
            (self.folder / name).write_text(text)
        for name in ("rest", "webdav", "sftp"):
            (self.folder / name).mkdir(exist_ok=True)
        self._make_keys()
        with ExitStack() as stack:
            for argv in self._commands():
                stack.enter_context(self.neighbour.running(argv))
            for port in (S3, REST, WEBDAV, SSH):
                self._wait(port)
            self._make_bucket()
            yield

    def _commands(self) -> list[list[str]]:
        tls = [f"--cert={self.folder}/chain.pem", f"--key={self.folder}/key.pem"]
        # Otherwise it takes the first label of a host name for the bucket.
        moto = ["env", "S3_IGNORE_SUBDOMAIN_BUCKETNAME=true", str(provide(MOTO) / "moto_server"), "--host=0.0.0.0"]
        rclone = ["rclone", "serve", "--config=/dev/null", "--log-level=ERROR"]
        known = [f"--user={USER}", f"--pass={SECRET}", *tls]
        return [
            [*moto, f"--port={S3}", f"--ssl-cert={self.folder}/chain.pem", f"--ssl-key={self.folder}/key.pem"],
            [*rclone[:2], "restic", *rclone[2:], "--append-only", f"--addr=:{REST}", *known, f"{self.folder}/rest"],
            [*rclone[:2], "webdav", *rclone[2:], f"--addr=:{WEBDAV}", *known, f"{self.folder}/webdav"],
            ["/usr/sbin/sshd", "-D", "-e", "-f", f"{self.folder}/sshd_config"],
        ]

    def _make_keys(self) -> None:
        for name in ("host", "client"):
            if not (self.folder / name).exists():
                words: list[str | Path] = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name]
                SystemRunner().run(words, timeout=60)
        (self.folder / "authorized_keys").write_text((self.folder / "client.pub").read_text())
        (self.folder / "sshd_config").write_text(SSHD.format(port=SSH, folder=self.folder))
        # sshd's unit would create it.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def _make_bucket(self) -> None:
        signed = "Authorization: AWS4-HMAC-SHA256 Credential=keeper/20300101/us-east-1/s3/aws4_request"
        words = ["curl", "--silent", "--fail", "--insecure", "--request", "PUT", "--header", signed]
        made = self.neighbour.run([*words, f"https://127.0.0.1:{S3}/{BUCKET}"])
        assert made.returncode == 0, made.stderr

    def fill_bucket(self, source: Path, folder: str) -> None:
        """Copy the files of `source` to the `folder` of S3's bucket."""
        known = {"type": "s3", "provider": "Other", "endpoint": f"https://127.0.0.1:{S3}", "force_path_style": "true"}
        known |= {"access_key_id": USER, "secret_access_key": SECRET}
        settings = [f"RCLONE_CONFIG_FULL_{key.upper()}={value}" for key, value in known.items()]
        copy = ["rclone", "copy", "--config=/dev/null", "--no-check-certificate"]
        done = self.neighbour.run(["env", *settings, *copy, str(source), f"full:{BUCKET}/{folder}"])
        assert done.returncode == 0, done.stderr

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + UP_SECONDS
        while not self.neighbour.run(["ss", "-Hltn", f"sport = :{port}"]).stdout:
            assert time.monotonic() < deadline, port
            time.sleep(0.2)
