"""The document vault's keys: from the environment into the GnuPG 1.4 keyring that the application reads.

Without its own keys there the application would silently take publicly known ones, so everything is verified.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError
from ecs_appliance.core.files import read_untrusted, sync_folder, write_atomic
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import gpg
from ecs_appliance.host.docker import Mount, Task, run_once

ENCRYPT_UID = "ecs_mediaserver"
SIGN_UID = "ecs_authority"
APP_OWNER = (1000, 1000)
KEYRINGS = ("pubring.gpg", "secring.gpg")
# In bytes; two keys take some 10 KiB.
LARGEST_KEYRING = 1024 * 1024
LIST_SECONDS = 120
# On a copy: gpg wants to write beside a keyring even to list it.
LIST_IN_IMAGE = (
    "cp -r /app/ecs-gpg /tmp/keyring && gpg=$(command -v gpg1 || command -v gpg) && exec "
    '"$gpg" --batch --no-tty --no-options --homedir /tmp/keyring --with-colons --with-fingerprint --list-secret-keys'
)


@dataclass(frozen=True)
class VaultKeys:
    """The two private key blocks of the environment."""

    encrypt: str
    sign: str

    def __repr__(self) -> str:
        return "VaultKeys(…)"


def ensure_vault_keys(
    runner: Runner, folder: Path, keys: VaultKeys, *, owner: tuple[int, int] | None = APP_OWNER
) -> bool:
    """Have both keys in the keyring of `folder`, of `owner` (uid, gid); returns whether anything changed.

    A keyring is built anew beside the old one, with the wanted keys first, so that gpg takes them for new documents,
    and all older ones behind them, so that old documents still open. Raises InvalidEnvError for a block that is not
    exactly one unprotected private key of its name, ApplianceError where the old keyring is no readable file.
    """
    wanted = (
        _fingerprint(runner, keys.encrypt, "ecs.vault_encrypt", ENCRYPT_UID),
        _fingerprint(runner, keys.sign, "ecs.vault_sign", SIGN_UID),
    )
    changed = not _is_complete(runner, folder, wanted)
    if changed:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _workshop(folder) as workshop:
            _build_keyring(runner, workshop, folder, keys)
            _verify(runner, workshop, wanted)
            _install(workshop, folder)
    # A restored keyring may belong to whoever restored it.
    return (owner is not None and gpg.own(folder, owner)) or changed


def check_in_image(runner: Runner, image: str, folder: Path, keys: VaultKeys) -> None:
    """Have the image's own gpg see both secret keys in `folder`. Raises ApplianceError where it does not."""
    task = Task(
        "appliance-vaultkeys",
        image,
        ("-c", LIST_IN_IMAGE),
        mounts=(Mount(folder, "/app/ecs-gpg", read_only=True),),
        network="none",
        entrypoint="/bin/sh",
        user=f"{APP_OWNER[0]}:{APP_OWNER[1]}",
    )
    seen = run_once(runner, task, timeout=LIST_SECONDS, ok=range(256)).stdout
    for block, name, uid in ((keys.encrypt, "ecs.vault_encrypt", ENCRYPT_UID), (keys.sign, "ecs.vault_sign", SIGN_UID)):
        if _fingerprint(runner, block, name, uid) not in seen:
            raise ApplianceError(
                f"the application's own gpg does not see the key {uid} in {folder}",
                "do not start it: it would take publicly known keys; report this with the image's gpg --version",
            )


def _fingerprint(runner: Runner, block: str, name: str, uid: str) -> str:
    # One of an algorithm that it does not know gets zeros for a fingerprint.
    secret = [key for key in gpg.list_keys(runner, block.encode()) if key.secret and key.fingerprint.strip("0")]
    if len(secret) != 1:
        raise InvalidEnvError(
            f"{name} holds {len(secret)} private keys that GnuPG 1.4 can read, not one", "RSA is needed"
        )
    if not any(name_of.split(" <")[0] == uid for name_of in secret[0].uids):
        raise InvalidEnvError(f"{name} is not a key of {uid}", "were the two keys swapped?")
    return secret[0].fingerprint


def _fingerprints(runner: Runner, file: Path) -> list[str]:
    return [key.fingerprint for key in gpg.list_keys(runner, _read_keyring(file))]


def _read_keyring(file: Path) -> bytes:
    """b"" where there is none. One that cannot be read is no reason to make do without the old keys."""
    try:
        return read_untrusted(file, LARGEST_KEYRING)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ApplianceError(
            f"{file} is not read as a keyring: {error.strerror}", "move it away, and put the keyring of a backup there"
        ) from None


def _is_complete(runner: Runner, folder: Path, wanted: Sequence[str]) -> bool:
    """Both keyrings have the wanted keys, and gpg finds them first."""
    return all(_fingerprints(runner, folder / name)[: len(wanted)] == list(wanted) for name in KEYRINGS)


class _workshop:  # noqa: N801 # used as a function
    """A private folder beside the keyring; gone afterwards, and so is one that a killed run left."""

    def __init__(self, folder: Path) -> None:
        self._path = folder.with_name(f".{folder.name}.new")

    def __enter__(self) -> Path:
        shutil.rmtree(self._path, ignore_errors=True)
        self._path.mkdir(mode=0o700)
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path)


def _build_keyring(runner: Runner, workshop: Path, folder: Path, keys: VaultKeys) -> None:
    for block in (keys.encrypt, keys.sign):
        gpg.import_keys(runner, workshop, block.encode())
    for name in reversed(KEYRINGS):
        if old := _read_keyring(folder / name):
            gpg.import_keys(runner, workshop, old)


def _verify(runner: Runner, workshop: Path, wanted: Sequence[str]) -> None:
    if not _is_complete(runner, workshop, wanted):
        raise ApplianceError(
            "the vault's keys did not all arrive in its keyring", "check ecs.vault_encrypt and vault_sign"
        )
    gpg.check_round_trip(runner, workshop, recipient=ENCRYPT_UID, signer=SIGN_UID)


def _install(workshop: Path, folder: Path) -> None:
    for name in KEYRINGS:
        write_atomic(folder / name, (workshop / name).read_bytes(), mode=0o600)
    sync_folder(folder)
