"""Install the document vault's keys from env.yml in the GnuPG 1.4 keyring that the application reads.

Without them, the application would silently use publicly known keys, and with other keys before them, encrypt to those.
So everything is verified, and only root writes the keyring. Containers see a copy.
"""

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError
from ecs_appliance.core.files import (
    read_optional,
    read_untrusted,
    sync_folder,
    write_atomic,
    write_changed,
    write_together,
)
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.core.state import StateFile
from ecs_appliance.host import gpg
from ecs_appliance.host.docker import ContainerMount, Task, run_once
from ecs_appliance.host.gpg import ListedKey, Ring

ENCRYPT_UID = "ecs_mediaserver"
SIGN_UID = "ecs_authority"
APP_OWNER = (1000, 1000)
PUBLIC, SECRET = "pubring.gpg", "secring.gpg"
# If it exists, gpg reads options (more keyrings, more recipients) from no other file.
OPTIONS = "gpg.conf"
# Files that gpg leaves next to its keyrings, and our own temporary files of a killed run.
USUAL = re.compile(r"random_seed|trustdb\.gpg|(pub|sec)ring\.gpg~|\.#lk.*|.*\.lock|\.(pub|sec)ring\.gpg\.[0-9a-f]+")
# In bytes; two keys take about 10 KiB.
LARGEST_KEYRING = 1024 * 1024
LIST_SECONDS = 120
IN_CONTAINER = "/app/ecs-gpg"
# A tmpfs for what gpg writes next to its keyrings.
SCRATCH = f"{IN_CONTAINER}:size=4m,mode=0700,uid={APP_OWNER[0]},gid={APP_OWNER[1]}"
LIST_IN_IMAGE = (
    f"gpg=$(command -v gpg1 || command -v gpg) && for what in keys secret-keys; do "
    f'"$gpg" --batch --no-tty --trust-model always --homedir {IN_CONTAINER} {gpg.LISTING} --list-$what || exit; done'
)


@dataclass(frozen=True)
class VaultKeys:
    """The two private key blocks from env.yml."""

    encrypt: str
    sign: str

    def __repr__(self) -> str:
        return "VaultKeys(…)"

    @property
    def blocks(self) -> tuple[bytes, bytes]:
        """The blocks as input for gpg."""
        return self.encrypt.encode(), self.sign.encode()


@dataclass(frozen=True)
class FoundKeyring:
    """A keyring as found, what is suspicious about it (`odd`), and the names of other files in its folder (`extra`)."""

    ring: Ring
    odd: tuple[str, ...]
    extra: tuple[str, ...]


@dataclass(frozen=True)
class KeyringState:
    """What was built last: digests of keyring and keys, and of the keyring; the fingerprints of env.yml's keys."""

    state: str = ""
    ring: str = ""
    fingerprints: tuple[str, ...] = ()


def ensure_vault_keys(runner: Runner, paths: Paths, keys: VaultKeys) -> bool:
    """Install both keys in the machine's keyring and copy it for containers; return whether it was rebuilt.

    The keys of env.yml come first, unchanged, so that gpg uses them for new documents, followed by all others, so that
    old documents can still be decrypted. A keyring that something else than we or gpg changed is set aside, see
    `find_suspects`. Raise InvalidEnvError if a block is not exactly one private key with the expected user id.
    """
    _close(paths.vault_keys)
    found = _find(paths.vault_keys)
    changed = _record(paths).state != _state(found.ring, keys) or bool(found.odd)
    if changed:
        _rebuild(runner, paths, keys, found)
    for name in found.extra:
        (paths.vault_keys / name).unlink(missing_ok=True)
    copy_keyring(paths)
    return changed


def copy_keyring(paths: Paths) -> None:
    """Copy the keyring of `paths` to the files that containers mount, which are new ones that no process has open.

    Raise ApplianceError if a file of the keyring cannot be read or is not a regular file.
    """
    for name in (PUBLIC, SECRET):
        try:
            content = read_untrusted(paths.vault_keys / name, LARGEST_KEYRING)
        except OSError as error:
            raise ApplianceError(
                f"{name} cannot be read as a keyring: {error.strerror}", "choose another backup: appliance backup list"
            ) from None
        write_atomic(paths.keyring / name, content, mode=0o400, owner=APP_OWNER)
    write_changed(paths.keyring / OPTIONS, "# nothing is set here\n", mode=0o400, owner=APP_OWNER)
    paths.keyring.chmod(0o700)


def keyring_mounts(paths: Paths) -> tuple[ContainerMount, ...]:
    """Return the mounts of the keyring for application containers, which can neither write nor replace the files."""
    names = (PUBLIC, SECRET, OPTIONS)
    return tuple(ContainerMount(paths.keyring / name, f"{IN_CONTAINER}/{name}", read_only=True) for name in names)


def find_suspects(paths: Paths) -> dict[Path, str]:
    """Return the keyrings that were set aside as suspicious, with the reason for each."""
    folders = sorted(paths.vault_keys.parent.glob(f"{paths.vault_keys.name}.suspect-*"))
    return {folder: (read_optional(folder / "why") or "").strip() for folder in folders}


def check_in_image(runner: Runner, image: str, paths: Paths) -> None:
    """Raise ApplianceError unless the image's own gpg uses the keys of env.yml, mounted as for the application."""
    task = Task(
        "appliance-vaultkeys",
        image,
        ("-c", LIST_IN_IMAGE),
        mounts=keyring_mounts(paths),
        tmpfs=(SCRATCH,),
        entrypoint="/bin/sh",
        user=f"{APP_OWNER[0]}:{APP_OWNER[1]}",
    )
    seen = gpg.parse(run_once(runner, task, timeout=LIST_SECONDS, ok=range(256)).stdout)
    wanted = _record(paths).fingerprints
    if not wanted or _misplaced(seen, wanted):
        raise ApplianceError(
            f"the application's own gpg does not use the keys of env.yml from {paths.vault_keys}",
            "do not start it: it would use publicly known keys; report this with the output of the image's gpg "
            "--version",
        )


def _rebuild(runner: Runner, paths: Paths, keys: VaultKeys, found: FoundKeyring) -> None:
    sight = gpg.inspect(runner, keys.blocks, found.ring)
    wanted = (
        _fingerprint(sight.blocks[0], "ecs.vault_encrypt", ENCRYPT_UID),
        _fingerprint(sight.blocks[1], "ecs.vault_sign", SIGN_UID),
    )
    behind = dict.fromkeys(key.fingerprint for key in sight.kept if key.fingerprint not in wanted)
    names = {"recipient": ENCRYPT_UID, "signer": SIGN_UID}
    ring, built = gpg.build_ring(runner, keys.blocks, found.ring, tuple(behind), **names)
    if _misplaced(built, wanted):
        raise ApplianceError(
            "not all vault keys were imported into its keyring", "check ecs.vault_encrypt and ecs.vault_sign"
        )
    odd = (*found.odd, *_disorder(paths, found.ring, sight.seen, wanted))
    if odd:
        _keep_aside(paths, found, odd)
    write_together({paths.vault_keys / SECRET: ring.secret, paths.vault_keys / PUBLIC: ring.public})
    _record_file(paths).write(KeyringState(_state(ring, keys), _digest(ring.public, ring.secret), wanted))


def _fingerprint(keys: Sequence[ListedKey], name: str, uid: str) -> str:
    secret = [key for key in keys if key.secret]
    if len(secret) != 1:
        raise InvalidEnvError(
            f"{name} must contain one private key that GnuPG 1.4 can read, but contains {len(secret)}", "use an RSA key"
        )
    if not any(name_of.split(" <")[0] == uid for name_of in secret[0].uids):
        raise InvalidEnvError(f"{name} is not a key for {uid}", "were the two keys swapped?")
    return secret[0].fingerprint


def _misplaced(keys: Sequence[ListedKey], wanted: Sequence[str]) -> list[str]:
    """Return the names of the rings in which the keys `wanted` are not the first ones, in that order and usable."""
    rings = {PUBLIC: [key for key in keys if not key.secret], SECRET: [key for key in keys if key.secret]}
    return [
        name
        for name, ring in rings.items()
        if [key.fingerprint for key in ring[: len(wanted)] if key.usable] != list(wanted)
    ]


def _disorder(paths: Paths, ring: Ring, seen: Sequence[ListedKey], wanted: Sequence[str]) -> Iterator[str]:
    """Yield signs that others changed the keyring; one we built last has none, even with old keys after a rotation."""
    if ring == Ring() or _record(paths).ring == _digest(ring.public, ring.secret):
        return
    for name in _misplaced(seen, wanted):
        yield f"{name} did not begin with the keys of env.yml in their order"


def _find(folder: Path) -> FoundKeyring:
    rings, odd = [], []
    for name in (PUBLIC, SECRET):
        try:
            rings.append(read_untrusted(folder / name, LARGEST_KEYRING))
        except FileNotFoundError:
            rings.append(b"")
        except OSError as error:
            rings.append(b"")
            odd.append(f"{name} cannot be read as a keyring: {error.strerror}")
    extra = sorted({entry.name for entry in folder.iterdir()} - {PUBLIC, SECRET})
    odd += [f"unexpected file {name}" for name in extra if not _is_usual(folder / name)]
    return FoundKeyring(Ring(*rings), tuple(odd), tuple(extra))


def _is_usual(file: Path) -> bool:
    return bool(USUAL.fullmatch(file.name)) and stat.S_ISREG(file.lstat().st_mode)


def _keep_aside(paths: Paths, found: FoundKeyring, odd: Sequence[str]) -> None:
    """Move aside the keyring, other files and the reasons, and whatever in a ring's place is not a regular file."""
    folder = paths.vault_keys
    suspect = folder.with_name(f"{folder.name}.suspect-{time.strftime('%Y%m%d-%H%M%S')}")
    suspect.mkdir(mode=0o700, exist_ok=True)
    write_atomic(suspect / "why", "; ".join(odd) + "\n")
    for name, content in ((PUBLIC, found.ring.public), (SECRET, found.ring.secret)):
        if content:
            write_atomic(suspect / name, content)
        elif (folder / name).is_symlink() or (folder / name).exists():
            (folder / name).rename(suspect / name)
    for name in found.extra:
        (folder / name).rename(suspect / name)
    sync_folder(suspect.parent)


def _close(folder: Path) -> None:
    """Create `folder` if missing and make it accessible only to root. Raise OSError if it is a link."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchown(descriptor, 0, 0)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _state(ring: Ring, keys: VaultKeys) -> str:
    """Return a digest of keyring and keys; while it stays the same, nothing needs to be rebuilt."""
    return _digest(ring.public, ring.secret, *keys.blocks)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _record_file(paths: Paths) -> StateFile[KeyringState]:
    return StateFile(paths.state / "vault-keys.json", KeyringState)


def _record(paths: Paths) -> KeyringState:
    return _record_file(paths).read() or KeyringState()
