"""GnuPG 1.4: the only one whose keyrings the application reads. Key material goes through stdin."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import CommandError, Result, Runner

PROGRAM = "gpg1"
SECONDS = 60
OPTIONS = ("--batch", "--no-tty", "--no-options", "--no-permission-warning", "--trust-model=always")


@dataclass(frozen=True)
class Key:
    """A primary key: `secret` or public."""

    fingerprint: str
    secret: bool
    uids: tuple[str, ...]


def list_keys(runner: Runner, data: bytes) -> list[Key]:
    """The primary keys in `data`: an armored block, or a keyring file as it is. [] where it has none."""
    with _private_home() as home:
        shown = _gpg(runner, home, "--with-colons", "--fixed-list-mode", "--with-fingerprint", data=data, ok=(0, 2))
    return _parse(shown.stdout)


def import_keys(runner: Runner, home: Path, data: bytes) -> None:
    """Import `data` into the keyring of `home` behind what is there. Raises CommandError."""
    # 2: some of it was there already.
    _gpg(runner, home, "--import", "--allow-secret-key-import", data=data, ok=(0, 2))


def check_round_trip(runner: Runner, home: Path, *, recipient: str, signer: str) -> None:
    """Sign and encrypt with the keyring of `home`, and open it again. Raises ApplianceError where that fails."""
    probe = b"round trip"
    sealed = home / "probe.gpg"
    names = (f"--recipient={recipient}", f"--local-user={signer}", f"--output={sealed}")
    try:
        _gpg(runner, home, *names, "--sign", "--encrypt", data=probe)
        opened = _gpg(runner, home, "--decrypt", data=sealed.read_bytes())
    except CommandError as error:
        raise ApplianceError(
            f"what {signer} signs for {recipient} cannot be written and read: {error.output or error.message}",
            "both keys have to be without passphrase, and fit for signing and encryption",
        ) from None
    finally:
        sealed.unlink(missing_ok=True)
    if opened.stdout.encode() != probe or f'Good signature from "{signer}' not in opened.stderr:
        raise ApplianceError(f"what {signer} signs for {recipient} is not read as its own", "check both keys")


def own(home: Path, owner: tuple[int, int]) -> bool:
    """Give the keyring of `home` to `owner` (uid, gid): 0700, files 0600; returns whether anything changed.

    Only folders and regular files are touched, and no link is followed.
    """
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        changes = [_own_entry(name, folder, owner) for name in (".", *os.listdir(folder))]  # noqa: PTH208 # of a descriptor
    finally:
        os.close(folder)
    return any(changes)


def _own_entry(name: str, folder: int, owner: tuple[int, int]) -> bool:
    """By descriptor: the application may put a link to anything there at any time."""
    try:
        entry = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        # A link, a socket, or gone again.
        return False
    try:
        return _own_open(entry, owner)
    finally:
        os.close(entry)


def _own_open(entry: int, owner: tuple[int, int]) -> bool:
    state = os.fstat(entry)
    if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
        return False
    mode = 0o700 if stat.S_ISDIR(state.st_mode) else 0o600
    if ((state.st_uid, state.st_gid), stat.S_IMODE(state.st_mode)) == (owner, mode):
        return False
    os.fchown(entry, *owner)
    os.fchmod(entry, mode)
    return True


def _gpg(runner: Runner, home: Path, *arguments: str, data: bytes, ok: tuple[int, ...] = (0,)) -> Result:
    command = [PROGRAM, *OPTIONS, f"--homedir={home}", *arguments]
    return runner.run(command, timeout=SECONDS, input=data, ok=ok)


@contextmanager
def _private_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="appliance-gpg."))
    try:
        yield home
    finally:
        shutil.rmtree(home)


def _parse(listing: str) -> list[Key]:
    keys: list[Key] = []
    for line in listing.splitlines():
        fields = line.split(":")
        if fields[0] in ("pub", "sec"):
            keys.append(Key("", fields[0] == "sec", (fields[9],) if fields[9] else ()))
        elif fields[0] == "fpr" and keys and not keys[-1].fingerprint:
            keys[-1] = Key(fields[9], keys[-1].secret, keys[-1].uids)
        elif fields[0] == "uid" and keys:
            keys[-1] = Key(keys[-1].fingerprint, keys[-1].secret, (*keys[-1].uids, fields[9]))
    return keys
