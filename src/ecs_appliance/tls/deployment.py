"""Certificates where the servers of this machine read them: one file a name, with key and chain."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.files import read_untrusted, write_changed
from ecs_appliance.core.paths import Paths
from ecs_appliance.tls.credentials import Credentials, CredentialsError, read_credentials
from ecs_appliance.tls.selection import Selection, Wanted, select

LARGEST_FILE = 256 * 1024
SECRET, PUBLIC = 0o600, 0o644


@dataclass(frozen=True)
class Deployment:
    """What is to be served: a selection a name, and the files (path → content and mode) that make it so."""

    selections: tuple[Selection, ...]
    files: Mapping[Path, tuple[str, int]]
    stale: tuple[Path, ...]

    def changes(self) -> list[Path]:
        """The files that are not as they are to be."""
        differing = [path for path, (text, _) in self.files.items() if not _holds(path, text)]
        return [*differing, *self.stale]


def plan_deployment(paths: Paths, want: Wanted, snakeoil: Credentials) -> Deployment:
    """What `want` comes to with what is there now; changes nothing."""
    selections = tuple(select(name, want, issued=read_issued(paths, name), snakeoil=snakeoil) for name in want.names)
    files = {certificate_path(paths, each.name): (each.credentials.pem, SECRET) for each in selections}
    wanted_files = set(files)
    # What other servers and containers are told of the domain's certificate.
    files[paths.server_certificate] = (selections[0].credentials.chain, PUBLIC)
    stale = tuple(path for path in sorted(paths.certificates.glob("*.pem")) if path not in wanted_files)
    return Deployment(selections, files, stale)


def apply_deployment(deployment: Deployment) -> bool:
    """Write what is missing, each file in one step; returns whether anything changed."""
    changed = [write_changed(path, text, mode=mode) for path, (text, mode) in deployment.files.items()]
    for path in deployment.stale:
        path.unlink(missing_ok=True)
    return any(changed) or bool(deployment.stale)


def certificate_path(paths: Paths, name: str) -> Path:
    """The file with key and chain for `name`, read by root only."""
    return paths.certificates / f"{name.replace('*', '_')}.pem"


def read_issued(paths: Paths, name: str) -> Credentials | str:
    """What ACME got for `name` last, from the folder of the account `app`; or why there is nothing.

    The client names key and chain of one certificate by one time. Its links to the newest of both are not looked at:
    they change one after the other.
    """
    folder = paths.acme / "certs" / name
    reason = "there is no certificate by ACME yet"
    for chain in sorted(folder.glob("fullchain-*.pem"), key=lambda path: path.name, reverse=True):
        key = folder / chain.name.replace("fullchain", "privkey")
        try:
            pair = (read_untrusted(file, LARGEST_FILE).decode() for file in (key, chain))
            return read_credentials(*pair)
        except (OSError, UnicodeDecodeError):
            reason = "the certificate by ACME cannot be read"
        except CredentialsError as error:
            reason = f"the certificate by ACME cannot be used: {error.message}"
    return reason


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()
