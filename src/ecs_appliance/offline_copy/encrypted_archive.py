"""Create the encrypted archive: a tar.gz encrypted to all keys of gpgkeys.txt, or not written at all.

The content passes through pipes only. A keyring of public keys is on disk temporarily; no agent is started. If a run is
killed, the keyring stays until a run at least an hour later removes it.
"""

import gzip
import io
import os
import re
import shutil
import stat
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.runner import CommandError, Result, Runner
from ecs_appliance.env.pgp_packets import SESSION_KEY, packets
from ecs_appliance.offline_copy.recipient_keys import FILE_NAME, Recipient, read_keys

SECONDS = 60
HOME = "appliance-gpg."
LEFTOVER_SECONDS = 3600
# No configuration of this account or machine may affect who can read the archive, and no process may stay behind.
OPTIONS = (
    *("--batch", "--no-tty", "--no-options", "--no-autostart", "--disable-dirmngr"),
    *("--no-auto-check-trustdb", "--trust-model=always", "--no-allow-non-selfsigned-uid"),
    *("--no-encrypt-to", "--no-throw-keyids", "--no-armor"),
)
ENCRYPT = ("--compress-algo=none", "--personal-cipher-preferences=AES256 AES192 AES", "--encrypt")
INSTALL = "apt-get install gpg, on a Mac brew install gnupg"
EVERYONE = f"correct {FILE_NAME}: no archive is written unless all of its keys can open it"


@dataclass(frozen=True)
class EncryptedArchive:
    """The encrypted `data`, which exactly `recipients` can decrypt."""

    data: bytes = field(repr=False)
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True)
class _Part:
    """A primary key or a subkey, in the notation of gpg's --with-colons; times are Unix times, `expires` 0 is never."""

    identity: str
    validity: str
    capabilities: str
    created: int
    expires: int

    @property
    def ended(self) -> str:
        """Why the key is not valid any more; "" if it has neither expired nor been revoked."""
        day = datetime.fromtimestamp(self.expires, UTC)
        return {"e": f"expired on {day:%Y-%m-%d}", "r": "is revoked"}.get(self.validity, "")


# The primary key, then its subkeys.
_Key = list[_Part]


@dataclass(frozen=True)
class _Keyring:
    home: Path
    keys: Mapping[Recipient, _Key]


def archive(files: Mapping[str, bytes], modified: datetime) -> bytes:
    """Return a reproducible tar.gz of `files` (name without folder → content), with mode 0600 and owned by root."""
    packed = io.BytesIO()
    moment = int(modified.timestamp())
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(files[name]), 0o600, moment
            tar.addfile(entry, io.BytesIO(files[name]))
    return gzip.compress(packed.getvalue(), mtime=moment)


def file_name(domain: str, moment: datetime) -> str:
    """Return the file name of the encrypted archive of `domain`."""
    return f"{domain}.env.{moment:%Y-%m-%d_%H.%M}.tar.gz.gpg"


def find_gpg(runner: Runner) -> str:
    """Return gpg's version line. Raise RefusedError if gpg is not installed."""
    return _gpg(runner, "--version").stdout.split("\n")[0]


def encrypt(data: bytes, keys: bytes, runner: Runner) -> EncryptedArchive:
    """Encrypt `data` to every key of `keys`, the content of gpgkeys.txt.

    Raise RefusedError naming each unusable key (expired, revoked, for signing only, private, damaged) or if gpg is not
    installed, and CommandError if gpg fails.
    """
    with _keyring(keys, runner) as ring:
        names = [f"--recipient={recipient.fingerprint}" for recipient in ring.keys]
        encrypted = _gpg(runner, f"--homedir={ring.home}", *names, *ENCRYPT, data=data).raw
        _check_addresses(encrypted, ring)
        return EncryptedArchive(encrypted, tuple(ring.keys))


@contextmanager
def _keyring(keys: bytes, runner: Runner) -> Iterator[_Keyring]:
    """Provide a temporary keyring of all keys, after verifying that each one can encrypt."""
    read = read_keys(keys)
    _remove_leftovers()
    with tempfile.TemporaryDirectory(prefix=HOME) as folder:
        home = Path(folder)
        listed, said = _import(runner, home, read.material) if read.material else ({}, {})
        faults = list(read.problems)
        for recipient in read.recipients:
            key = listed.get(recipient.fingerprint)
            if key is None:
                faults.append(
                    f"{recipient}: gpg does not accept it: {said.get(recipient.fingerprint[-16:], 'unknown')}"
                )
            elif fault := _fault(key):
                faults.append(f"{recipient}: {fault}")
        if faults:
            raise RefusedError("\n  ".join([f"nothing is encrypted, {FILE_NAME} cannot be used:", *faults]), EVERYONE)
        yield _Keyring(home, {recipient: listed[recipient.fingerprint] for recipient in read.recipients})


def _remove_leftovers() -> None:
    """Remove keyrings of killed runs of this account. One in use is never that old, since gpg has a timeout."""
    for home in Path(tempfile.gettempdir()).glob(f"{HOME}*"):
        with suppress(OSError):
            state = home.lstat()
            is_old = state.st_mtime < time.time() - LEFTOVER_SECONDS
            if is_old and stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid():
                shutil.rmtree(home)


def _import(runner: Runner, home: Path, material: bytes) -> tuple[dict[str, _Key], dict[str, str]]:
    """Return the keys by fingerprint, and gpg's messages about them by the last 16 digits of the fingerprint."""
    # 1 and 2: gpg skipped something, which is then missing in the listing.
    words = _gpg(runner, f"--homedir={home}", "--import", data=material, ok=(0, 1, 2)).stderr
    listing = _gpg(runner, f"--homedir={home}", "--with-colons", "--list-keys").stdout
    said: dict[str, str] = {}
    # gpg may repeat a message.
    for key, remark in dict.fromkeys(re.findall(r"^gpg: key ([0-9A-F]{16}):? (.+)$", words, re.MULTILINE)):
        said[key] = f"{said[key]}; {remark}" if key in said else remark
    return _parse(listing), said


def _parse(listing: str) -> dict[str, _Key]:
    """Return the keys of gpg's listing by the fingerprints of the primary keys."""
    keys: dict[str, _Key] = {}
    key: _Key = []
    for fields in (line.split(":") for line in listing.splitlines()):
        if fields[0] == "pub":
            key = []
        if fields[0] in ("pub", "sub"):
            key.append(_Part(fields[4], fields[1], fields[11], int(fields[5]), int(fields[6] or 0)))
        elif fields[0] == "fpr" and len(key) == 1:
            keys[fields[9]] = key
    return keys


def _fault(key: _Key) -> str:
    """Return why the key cannot encrypt, or "". Capital letters are the current capabilities of the whole key."""
    primary, *subkeys = key
    if primary.ended:
        return f"this key {primary.ended}"
    if "E" in primary.capabilities:
        return ""
    if any(part.created > time.time() for part in key):
        return "this key was created in the future: is this machine's clock correct?"
    ended = [part.ended for part in subkeys if "e" in part.capabilities and part.ended]
    return f"its encryption key {ended[-1]}" if ended else "this key can only sign"


def _check_addresses(encrypted: bytes, ring: _Keyring) -> None:
    """Raise ApplianceError unless the message is encrypted to each key of the ring and to no other."""
    addressed: set[str] = set()
    # The recipients come first. The encrypted data that follows has partial lengths, which `packets` rejects.
    with suppress(ValueError):
        addressed.update(body[1:9].hex().upper() for tag, body in packets(encrypted) if tag == SESSION_KEY)
    parts = {recipient: {part.identity for part in key} for recipient, key in ring.keys.items()}
    missed = [str(recipient) for recipient, own in parts.items() if not addressed & own]
    strange = sorted(addressed.difference(*parts.values()))
    if missed or strange:
        raise ApplianceError(
            "\n  ".join(["gpg did not encrypt for exactly the given keys; it reports about these:", *missed, *strange])
        )


def _gpg(runner: Runner, *arguments: str, data: bytes = b"", ok: tuple[int, ...] = (0,)) -> Result:
    try:
        return runner.run(["gpg", *OPTIONS, *arguments], input=data, timeout=SECONDS, ok=ok)
    except CommandError as error:
        if error.returncode is not None:
            raise
        raise RefusedError(f"{error.message}; gpg is required for the encrypted archive", INSTALL) from None
