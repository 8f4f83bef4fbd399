"""Certificates where the servers of this machine read them: one file a name, with key and chain."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.files import read_untrusted, write_changed
from ecs_appliance.core.paths import Paths
from ecs_appliance.tls.credentials import Credentials, CredentialsError, read_credentials
from ecs_appliance.tls.selection import Selection, Wanted, select

LARGEST_FILE = 64 * 1024
# A client that cleans up leaves one.
MOST_PAIRS = 5
# A file's name has room for more while it is written.
LONGEST_STEM = 200
SECRET, PUBLIC = 0o600, 0o644


@dataclass(frozen=True)
class Deployment:
    """What is to be served: a selection a name, and the files (path → content and mode) that make it so."""

    selections: tuple[Selection, ...]
    files: Mapping[Path, tuple[str, int]]

    def changes(self) -> list[Path]:
        """The files that are not as they are to be."""
        return [path for path, (text, _) in self.files.items() if not _holds(path, text)]


def plan_deployment(paths: Paths, want: Wanted, snakeoil: Credentials) -> Deployment:
    """What `want` comes to with what is there now; changes nothing."""
    selections = tuple(select(name, want, issued=read_issued(paths, name), snakeoil=snakeoil) for name in want.names)
    files = {certificate_path(paths, each.name): (each.credentials.pem, SECRET) for each in selections}
    # What other servers and containers are told of the domain's certificate.
    files[paths.server_certificate] = (selections[0].credentials.chain, PUBLIC)
    return Deployment(selections, files)


def apply_deployment(deployment: Deployment) -> bool:
    """Write what is missing, each file in one step; returns whether anything changed."""
    return any([write_changed(path, text, mode=mode) for path, (text, mode) in deployment.files.items()])


def stale_certificates(paths: Paths, names: Iterable[str]) -> list[Path]:
    """Files of names that are not among `names`. Gone only after nginx's configuration no longer names them."""
    kept = {certificate_path(paths, name) for name in names}
    return [path for path in sorted(paths.certificates.glob("*.pem")) if path not in kept]


def certificate_path(paths: Paths, name: str) -> Path:
    """The file with key and chain for `name`, read by root only."""
    return paths.certificates / f"{_stem(name)}.pem"


def read_issued(paths: Paths, name: str) -> Credentials | str:
    """What ACME got for `name` last, or why there is nothing.

    The client's own folder belongs to the account `app`, and nothing in it is safe from a power cut: `keep_issued` has
    made a copy of the last good pair, which serves where the client's is gone.
    """
    found = _read_clients(paths.acme / "certs" / name)
    if isinstance(found, Credentials):
        return found
    try:
        text = _kept(paths, name).read_text()
        return read_credentials(*_split(text))
    except (OSError, ValueError, CredentialsError):
        return found


def keep_issued(paths: Paths, name: str) -> None:
    """Keep a copy of what ACME got for `name`, where it is good."""
    found = _read_clients(paths.acme / "certs" / name)
    if isinstance(found, Credentials):
        write_changed(_kept(paths, name), found.pem, mode=SECRET)


def _read_clients(folder: Path) -> Credentials | str:
    """The newest pair that fits. The client names key and chain of one certificate by one time.

    Its links to the newest of both are not looked at: they change one after the other.
    """
    reason = "there is no certificate by ACME yet"
    newest = sorted(folder.glob("fullchain-*.pem"), key=lambda path: path.name, reverse=True)
    for chain in newest[:MOST_PAIRS]:
        key = folder / chain.name.replace("fullchain", "privkey")
        try:
            return read_credentials(*(read_untrusted(file, LARGEST_FILE).decode() for file in (key, chain)))
        except (OSError, UnicodeDecodeError):
            reason = "the certificate by ACME cannot be read"
        except CredentialsError as error:
            reason = f"the certificate by ACME cannot be used: {error.message}"
    return reason


def _kept(paths: Paths, name: str) -> Path:
    return paths.state / "acme" / f"{_stem(name)}.pem"


def _split(text: str) -> tuple[str, str]:
    key, begin, chain = text.partition("-----BEGIN CERTIFICATE-----")
    return key, begin + chain


def _stem(name: str) -> str:
    plain = name.replace("*", "_")
    return plain if len(plain) <= LONGEST_STEM else hashlib.sha256(name.encode()).hexdigest()


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()
