"""Write certificates where this machine's servers read them: one file per name, with key and chain."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.files import read_untrusted, write_changed
from ecs_appliance.core.paths import Paths
from ecs_appliance.tls.credentials import Credentials, CredentialsError, read_credentials
from ecs_appliance.tls.selection import Selection, Wanted, select

LARGEST_FILE = 64 * 1024
# Pairs of the ACME client to try; usually there is only one after its cleanup.
MOST_PAIRS = 5
# Leaves room for the longer name that a file has while it is written.
LONGEST_STEM = 200
SECRET, PUBLIC = 0o600, 0o644


@dataclass(frozen=True)
class Deployment:
    """What is to be served: one selection per name, and the files to write (path → content and mode)."""

    selections: tuple[Selection, ...]
    files: Mapping[Path, tuple[str, int]]

    def changes(self) -> list[Path]:
        """Return the files whose contents differ."""
        return [path for path, (text, _) in self.files.items() if not _holds(path, text)]


def plan_deployment(paths: Paths, want: Wanted, snakeoil: Credentials) -> Deployment:
    """Return the deployment for `want` and the certificates that exist now."""
    selections = tuple(select(name, want, issued=read_issued(paths, name), snakeoil=snakeoil) for name in want.names)
    files = {certificate_path(paths, each.name): (each.credentials.pem, SECRET) for each in selections}
    # The domain's certificate without its key, for other servers and containers.
    files[paths.server_certificate] = (selections[0].credentials.chain, PUBLIC)
    return Deployment(selections, files)


def apply_deployment(deployment: Deployment) -> bool:
    """Write the files that differ, each one atomically; return whether anything changed."""
    return any([write_changed(path, text, mode=mode) for path, (text, mode) in deployment.files.items()])


def stale_certificates(paths: Paths, names: Iterable[str]) -> list[Path]:
    """Return the files of other names than `names`; remove them only when nginx's configuration does not use them."""
    kept = {certificate_path(paths, name) for name in names}
    return [path for path in sorted(paths.certificates.glob("*.pem")) if path not in kept]


def certificate_path(paths: Paths, name: str) -> Path:
    """Return the path of the file with key and chain for `name`, which only root can read."""
    return paths.certificates / f"{_stem(name)}.pem"


def read_issued(paths: Paths, name: str) -> Credentials | str:
    """Return the last certificate for `name` by ACME, or the reason why there is none.

    The client's folder belongs to the account `app`, and the client does not protect its files against a power failure.
    If there is no usable pair in it, use the copy by `keep_issued`.
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
    """Copy the last certificate for `name` by ACME if it is usable."""
    found = _read_clients(paths.acme / "certs" / name)
    if isinstance(found, Credentials):
        write_changed(_kept(paths, name), found.pem, mode=SECRET)


def _read_clients(folder: Path) -> Credentials | str:
    """Return the newest usable pair; key and chain of one certificate have the same time stamp in their names.

    The client's links to the newest key and chain are not used, since it does not change both atomically.
    """
    reason = "there is no ACME certificate yet"
    newest = sorted(folder.glob("fullchain-*.pem"), key=lambda path: path.name, reverse=True)
    for chain in newest[:MOST_PAIRS]:
        key = folder / chain.name.replace("fullchain", "privkey")
        try:
            return read_credentials(*(read_untrusted(file, LARGEST_FILE).decode() for file in (key, chain)))
        except (OSError, UnicodeDecodeError):
            reason = "the ACME certificate cannot be read"
        except CredentialsError as error:
            reason = f"the ACME certificate cannot be used: {error.message}"
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
