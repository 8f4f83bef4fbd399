"""The vault's keyring, with real GnuPG 1.4 and keys made by GnuPG 2."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecs_appliance.app.vaultkeys import VaultKeys, ensure_vault_keys
from ecs_appliance.core.errors import ApplianceError, InvalidEnvError
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host import gpg

RUNNER = SystemRunner()
GPG = ["gpg1", "--batch", "--no-tty", "--no-permission-warning", "--always-trust", "--homedir"]
OWNER = (1000, 1000)
HUGE = bytes(1024 * 1024 + 1)
MakeKey = Callable[..., str]


@pytest.fixture(scope="session")
def make_key() -> Iterator[MakeKey]:
    """`make_key(uid, algorithm=…, usage=…, passphrase=…)` returns a private key block."""
    with tempfile.TemporaryDirectory(prefix="appliance-keys.") as folder:
        # Another home each time, or the exports would hold each other's keys of one name.
        homes = (Path(folder) / str(number) for number in range(1000))

        def make(uid: str, algorithm: str = "rsa2048", usage: str = "sign,encrypt,cert", passphrase: str = "") -> str:
            home = next(homes)
            home.mkdir(mode=0o700)
            gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode=loopback"]
            secret = ["--passphrase", passphrase]
            RUNNER.run([*gpg, *secret, "--quick-generate-key", uid, algorithm, usage, "never"], timeout=60)
            block = RUNNER.run([*gpg, *secret, "--armor", "--export-secret-keys", uid], timeout=60).stdout
            RUNNER.run(["gpgconf", "--homedir", home, "--kill", "all"], timeout=30)
            return block

        yield make


@pytest.fixture(scope="session")
def keys(make_key: MakeKey) -> VaultKeys:
    return VaultKeys(make_key("ecs_mediaserver"), make_key("ecs_authority"))


@pytest.fixture(scope="session")
def other_keys(make_key: MakeKey) -> VaultKeys:
    return VaultKeys(make_key("ecs_mediaserver"), make_key("ecs_authority"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ecs-gpg"


def seal(folder: Path, text: str) -> bytes:
    """As the application writes a document."""
    sealed = folder.with_name("sealed")
    names = ("--recipient", "ecs_mediaserver", "--local-user", "ecs_authority")
    RUNNER.run([*GPG, folder, *names, "--yes", "--output", sealed, "--sign", "--encrypt"], timeout=30, input=text)
    return sealed.read_bytes()


def unseal(folder: Path, sealed: bytes) -> str:
    """As the application reads a document."""
    opened = RUNNER.run([*GPG, folder, "--decrypt"], timeout=30, input=sealed)
    assert 'Good signature from "ecs_authority"' in opened.stderr
    return opened.stdout


def secret_fingerprints(folder: Path) -> list[str]:
    return [key.fingerprint for key in gpg.list_keys(RUNNER, (folder / "secring.gpg").read_bytes())]


def fingerprint(block: str) -> str:
    return gpg.list_keys(RUNNER, block.encode())[0].fingerprint


def test_documents_can_be_written_and_read(folder: Path, keys: VaultKeys) -> None:
    assert ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    assert unseal(folder, seal(folder, "a study")) == "a study"
    assert secret_fingerprints(folder) == [fingerprint(keys.encrypt), fingerprint(keys.sign)]


def test_keyring_belongs_to_the_application_alone(folder: Path, keys: VaultKeys) -> None:
    ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, 1000)
    assert {(file.stat().st_mode & 0o777, file.stat().st_uid) for file in folder.iterdir()} == {(0o600, 1000)}
    assert list(folder.parent.iterdir()) == [folder]


def test_owner_is_put_right(folder: Path, keys: VaultKeys) -> None:
    ensure_vault_keys(RUNNER, folder, keys, owner=(0, 0))
    assert ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    assert {file.stat().st_uid for file in folder.iterdir()} == {1000}


def test_owner_of_what_a_link_names_stays(folder: Path, keys: VaultKeys, tmp_path: Path) -> None:
    ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    foreign = tmp_path / "foreign"
    foreign.write_text("of root")
    foreign.chmod(0o644)
    (folder / "link").symlink_to(foreign)
    (folder / "nowhere").symlink_to("nothing")
    os.mkfifo(folder / "pipe", mode=0o640)
    assert not ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    assert (foreign.stat().st_mode & 0o777, foreign.stat().st_uid) == (0o644, 0)
    assert (folder / "pipe").stat().st_uid == 0


def test_second_run_changes_nothing(folder: Path, keys: VaultKeys) -> None:
    ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    before = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()}
    assert not ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    assert {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()} == before


def test_new_keys_are_used_and_old_documents_still_open(folder: Path, keys: VaultKeys, other_keys: VaultKeys) -> None:
    ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    old = seal(folder, "an old study")
    assert ensure_vault_keys(RUNNER, folder, other_keys, owner=OWNER)
    assert unseal(folder, old) == "an old study"
    new = seal(folder, "a new study")
    assert not ensure_vault_keys(RUNNER, folder, other_keys, owner=OWNER)
    fresh = folder.with_name("fresh")
    ensure_vault_keys(RUNNER, fresh, other_keys, owner=OWNER)
    assert unseal(fresh, new) == "a new study"
    assert len(secret_fingerprints(folder)) == 4
    assert ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    assert len(secret_fingerprints(folder)) == 4
    assert unseal(folder, old) == "an old study"


@pytest.mark.parametrize("damage", ["pubring.gpg", "secring.gpg"])
def test_damaged_keyring_is_repaired(folder: Path, keys: VaultKeys, damage: str) -> None:
    ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    sealed = seal(folder, "a study")
    (folder / damage).write_bytes(b"")
    assert ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    assert unseal(folder, sealed) == "a study"


def test_keyring_that_is_no_plain_file_is_told_not_replaced(folder: Path, keys: VaultKeys) -> None:
    ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    ring = folder / "pubring.gpg"
    for put in (lambda: ring.symlink_to("secring.gpg"), lambda: os.mkfifo(ring), lambda: ring.write_bytes(HUGE)):
        ring.unlink()
        put()
        with pytest.raises(ApplianceError, match=r"pubring\.gpg is not read as a keyring"):
            ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
        assert not folder.with_name(".ecs-gpg.new").exists()


def test_leftovers_of_a_killed_run_are_no_obstacle(folder: Path, keys: VaultKeys) -> None:
    leftover = folder.with_name(".ecs-gpg.new")
    leftover.mkdir()
    (leftover / "secring.gpg").write_bytes(b"half")
    assert ensure_vault_keys(RUNNER, folder, keys, owner=OWNER)
    assert not leftover.exists()


def test_blocks_that_are_no_vault_keys_are_refused(folder: Path, keys: VaultKeys, make_key: MakeKey) -> None:
    for bad, told in (
        (VaultKeys("no key at all", keys.sign), "vault_encrypt holds 0 private keys"),
        (VaultKeys(keys.encrypt, ""), "vault_sign holds 0 private keys"),
        (VaultKeys(keys.sign, keys.encrypt), "vault_encrypt is not a key of ecs_mediaserver"),
        (VaultKeys(keys.encrypt + keys.encrypt, keys.sign), "vault_encrypt holds 2 private keys"),
        (VaultKeys(keys.encrypt, make_key("ecs_authority", "ed25519", "sign")), "vault_sign holds 0"),
    ):
        with pytest.raises(InvalidEnvError, match=told):
            ensure_vault_keys(RUNNER, folder, bad, owner=OWNER)
    assert not folder.exists()


def test_key_that_cannot_encrypt_is_refused(folder: Path, keys: VaultKeys, make_key: MakeKey) -> None:
    with pytest.raises(ApplianceError, match="unusable public key"):
        ensure_vault_keys(RUNNER, folder, VaultKeys(make_key("ecs_mediaserver", usage="sign"), keys.sign), owner=OWNER)
    assert not list(folder.iterdir())


def test_key_with_a_passphrase_is_refused(folder: Path, keys: VaultKeys, make_key: MakeKey) -> None:
    protected = make_key("ecs_authority", passphrase="locked")
    with pytest.raises(ApplianceError):
        ensure_vault_keys(RUNNER, folder, VaultKeys(keys.encrypt, protected), owner=OWNER)
    assert not (folder / "secring.gpg").exists()


def test_key_material_is_not_shown() -> None:
    assert "secret" not in repr(VaultKeys("secret", "secret"))
