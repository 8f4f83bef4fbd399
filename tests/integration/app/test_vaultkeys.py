"""The vault's keyring, with real GnuPG 1.4 and keys created by GnuPG 2."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecs_appliance.app.vaultkeys import VaultKeys, ensure_vault_keys, find_suspects
from ecs_appliance.core.errors import ApplianceError, InvalidEnvError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host import gpg

RUNNER = SystemRunner()
GPG = ["gpg1", "--batch", "--no-tty", "--no-permission-warning", "--always-trust", "--homedir"]
OWNER = 1000
HUGE = bytes(1024 * 1024 + 1)
MakeKey = Callable[..., str]


@pytest.fixture(scope="session")
def make_key() -> Iterator[MakeKey]:
    """Yield `make_key(uid, algorithm=…, usage=…, passphrase=…)`, which returns a private key block."""
    with tempfile.TemporaryDirectory(prefix="appliance-keys.") as folder:
        # A home for each key, or the exports would contain each other's keys of the same name.
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
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def seal(folder: Path, text: str) -> bytes:
    """Encrypt and sign a document as the application does."""
    sealed = folder.with_name("sealed")
    names = ("--recipient", "ecs_mediaserver", "--local-user", "ecs_authority")
    RUNNER.run([*GPG, folder, *names, "--yes", "--output", sealed, "--sign", "--encrypt"], timeout=30, input=text)
    return sealed.read_bytes()


def unseal(folder: Path, sealed: bytes) -> str:
    """Decrypt and verify a document as the application does."""
    opened = RUNNER.run([*GPG, folder, "--decrypt"], timeout=30, input=sealed)
    assert 'Good signature from "ecs_authority"' in opened.stderr
    return opened.stdout


def fingerprints(ring: Path) -> list[str]:
    return list(dict.fromkeys(key.fingerprint for key in gpg.list_keys(RUNNER, ring.read_bytes())))


def fingerprint(block: str) -> str:
    return gpg.list_keys(RUNNER, block.encode())[0].fingerprint


def secret_key(block: str) -> bytes:
    """Return the packets of a private key block as they are in a keyring."""
    return RUNNER.run(["gpg1", "--batch", "--dearmor"], timeout=30, input=block).raw


def public_key(home: Path, block: str) -> bytes:
    home.mkdir(mode=0o700, exist_ok=True)
    RUNNER.run([*GPG, home, "--import"], timeout=30, input=block, ok=(0, 2))
    return RUNNER.run([*GPG, home, "--export", fingerprint(block)], timeout=30).raw


def assert_ours(paths: Paths, keys: VaultKeys) -> None:
    """Assert that encryption there is to `keys`, and that the folder contains only two keyrings owned by root."""
    folder = paths.vault_keys
    wanted = [fingerprint(keys.encrypt), fingerprint(keys.sign)]
    assert {entry.name for entry in folder.iterdir()} == {"pubring.gpg", "secring.gpg"}
    assert {(file.stat().st_mode & 0o7777, file.stat().st_uid) for file in folder.iterdir()} == {(0o600, 0)}
    assert (folder.stat().st_mode & 0o7777, folder.stat().st_uid) == (0o700, 0)
    for ring in ("pubring.gpg", "secring.gpg"):
        assert fingerprints(folder / ring)[:2] == wanted
    fresh = Paths(paths.root / "fresh")
    ensure_vault_keys(RUNNER, fresh, keys)
    assert unseal(fresh.vault_keys, seal(paths.keyring, "a study")) == "a study"


def test_documents_can_be_written_and_read(paths: Paths, keys: VaultKeys) -> None:
    assert ensure_vault_keys(RUNNER, paths, keys)
    assert_ours(paths, keys)
    assert not find_suspects(paths)


def test_containers_get_a_copy_that_the_application_may_read(paths: Paths, keys: VaultKeys) -> None:
    ensure_vault_keys(RUNNER, paths, keys)
    seen = {file.name: (file.stat().st_uid, file.stat().st_mode & 0o7777) for file in paths.keyring.iterdir()}
    assert seen == dict.fromkeys(("pubring.gpg", "secring.gpg", "gpg.conf"), (OWNER, 0o400))
    assert (paths.keyring.stat().st_uid, paths.keyring.stat().st_mode & 0o7777) == (0, 0o700)
    (paths.keyring / "pubring.gpg").write_bytes(b"of somebody who had it open")
    assert not ensure_vault_keys(RUNNER, paths, keys)
    assert (paths.keyring / "pubring.gpg").read_bytes() == (paths.vault_keys / "pubring.gpg").read_bytes()


def test_second_run_changes_nothing(paths: Paths, keys: VaultKeys) -> None:
    ensure_vault_keys(RUNNER, paths, keys)
    before = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in paths.vault_keys.iterdir()}
    assert not ensure_vault_keys(RUNNER, paths, keys)
    assert {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in paths.vault_keys.iterdir()} == before


def test_new_keys_are_used_and_old_documents_still_open(paths: Paths, keys: VaultKeys, other_keys: VaultKeys) -> None:
    ensure_vault_keys(RUNNER, paths, keys)
    old = seal(paths.vault_keys, "an old study")
    assert ensure_vault_keys(RUNNER, paths, other_keys)
    assert_ours(paths, other_keys)
    assert unseal(paths.vault_keys, old) == "an old study"
    assert not ensure_vault_keys(RUNNER, paths, other_keys)
    assert len(fingerprints(paths.vault_keys / "secring.gpg")) == 4
    assert ensure_vault_keys(RUNNER, paths, keys)
    assert len(fingerprints(paths.vault_keys / "secring.gpg")) == 4
    assert unseal(paths.vault_keys, old) == "an old study"
    assert not find_suspects(paths)


def test_what_the_release_before_left_is_taken_over_in_silence(paths: Paths, keys: VaultKeys) -> None:
    """It belongs to the account app, and contains what gpg has added to it."""
    ensure_vault_keys(RUNNER, paths, keys)
    sealed = seal(paths.vault_keys, "a study")
    (paths.state / "vault-keys.json").unlink()
    for name in (
        *(file.name for file in paths.vault_keys.iterdir()),
        "trustdb.gpg",
        "pubring.gpg~",
        ".#lk0x5.host.7",
        ".",
    ):
        file = paths.vault_keys / name
        file.touch()
        os.chown(file, OWNER, OWNER)
    assert ensure_vault_keys(RUNNER, paths, keys)
    assert_ours(paths, keys)
    assert unseal(paths.vault_keys, sealed) == "a study"
    assert not find_suspects(paths)


@pytest.mark.parametrize("damage", ["pubring.gpg", "secring.gpg"])
def test_damaged_keyring_is_repaired(paths: Paths, keys: VaultKeys, damage: str) -> None:
    ensure_vault_keys(RUNNER, paths, keys)
    sealed = seal(paths.vault_keys, "a study")
    (paths.vault_keys / damage).write_bytes(b"")
    assert ensure_vault_keys(RUNNER, paths, keys)
    assert unseal(paths.vault_keys, sealed) == "a study"
    assert f"{damage} did not begin with the keys of env.yml" in str(find_suspects(paths))


def foreign(keys: VaultKeys, others: VaultKeys, home: Path) -> dict[str, bytes]:
    """Return keyrings in which the keys of `others` come first."""
    public = [public_key(home, block) for block in (others.encrypt, others.sign, keys.encrypt, keys.sign)]
    secret = [secret_key(block) for block in (others.encrypt, others.sign, keys.encrypt, keys.sign)]
    return {"pubring.gpg": b"".join(public), "secring.gpg": b"".join(secret)}


def forged_packet(keys: VaultKeys) -> bytes:
    """Return a literal packet whose text looks like a listing of the genuine keys; gpg without a command prints it."""
    lines = [
        f"{kind}:u:2048:1:0000000000000000:2020-01-01:::u:::scESC:\nfpr:::::::::{fingerprint(block)}:\nuid:u::::::::{uid}:"
        for kind in ("pub", "sec")
        for block, uid in ((keys.encrypt, "ecs_mediaserver"), (keys.sign, "ecs_authority"))
    ]
    text = b"b\0" + bytes(4) + "\n".join(lines).encode() + b"\n"
    return b"\xcb\xff" + len(text).to_bytes(4, "big") + text


def test_keyring_with_a_forged_listing_before_foreign_keys(
    paths: Paths, keys: VaultKeys, other_keys: VaultKeys, make_key: MakeKey, tmp_path: Path
) -> None:
    """The attack from the security review: that packet, and a key whose name contains the genuine fingerprints."""
    named = make_key(f"{fingerprint(keys.encrypt)} {fingerprint(keys.sign)}")
    for ring, content in foreign(VaultKeys(named, named), other_keys, tmp_path / "home").items():
        put(paths, ring, forged_packet(keys) + content)
    assert ensure_vault_keys(RUNNER, paths, keys)
    assert_ours(paths, keys)
    (why,) = find_suspects(paths).values()
    assert why.count("did not begin with the keys of env.yml") == 2
    assert not ensure_vault_keys(RUNNER, paths, keys)
    assert len(find_suspects(paths)) == 1


def put(paths: Paths, name: str, content: bytes) -> None:
    """Write a file as the application could while it still had the keyring itself instead of a copy."""
    paths.vault_keys.mkdir(parents=True, exist_ok=True)
    (paths.vault_keys / name).write_bytes(content)
    os.chown(paths.vault_keys / name, OWNER, OWNER)


def test_foreign_keys_of_the_same_names_come_behind(
    paths: Paths, keys: VaultKeys, other_keys: VaultKeys, tmp_path: Path
) -> None:
    for ring, content in foreign(keys, other_keys, tmp_path / "home").items():
        put(paths, ring, content)
    assert ensure_vault_keys(RUNNER, paths, keys)
    assert_ours(paths, keys)
    (suspect,) = find_suspects(paths)
    assert fingerprints(suspect / "secring.gpg")[0] == fingerprint(other_keys.encrypt)
    assert len(fingerprints(paths.vault_keys / "secring.gpg")) == 4


@pytest.mark.parametrize("uid", ["xECS_MEDIASERVER2", "ecs_mediaserver <ecs_authority@example.org>"])
def test_foreign_keys_whose_names_contain_ours_come_behind(
    paths: Paths, keys: VaultKeys, make_key: MakeKey, tmp_path: Path, uid: str
) -> None:
    other = make_key(uid)
    put(paths, "pubring.gpg", public_key(tmp_path / "home", other) + public_key(tmp_path / "home", keys.encrypt))
    assert ensure_vault_keys(RUNNER, paths, keys)
    assert_ours(paths, keys)
    assert find_suspects(paths)


def test_the_genuine_key_as_its_thief_revoked_it_does_not_come_back(
    paths: Paths, keys: VaultKeys, other_keys: VaultKeys, tmp_path: Path
) -> None:
    """gpg would skip it and use the next key of that name; anyone who can read the keyring can create a revocation."""
    revoked = revoke(tmp_path / "thief", keys.encrypt)
    public = [revoked, *(public_key(tmp_path / "home", block) for block in (keys.sign, other_keys.encrypt))]
    put(paths, "pubring.gpg", b"".join(public))
    put(paths, "secring.gpg", b"".join(secret_key(block) for block in (keys.encrypt, keys.sign, other_keys.encrypt)))
    assert ensure_vault_keys(RUNNER, paths, keys)
    assert_ours(paths, keys)
    assert "pubring.gpg did not begin with" in str(find_suspects(paths))


def revoke(home: Path, block: str) -> bytes:
    """Return the public key of `block`, revoked."""
    public_key(home, block)
    wish = ["--command-fd=0", "--no-tty", "--gen-revoke", fingerprint(block)]
    gpg1 = [word for word in GPG if word != "--batch"]
    RUNNER.run([*gpg1, home, "--output", home / "revocation", *wish], timeout=30, input="y\n1\n\ny\n")
    # It complains about a missing trust database that it does not need.
    RUNNER.run([*GPG, home, "--import", home / "revocation"], timeout=30, ok=(0, 2))
    return RUNNER.run([*GPG, home, "--export", fingerprint(block)], timeout=30).raw


def test_what_lies_beside_the_keyrings_is_kept_aside(paths: Paths, keys: VaultKeys) -> None:
    """Some of it would be instructions to gpg: other keyrings, a group with the recipient's name."""
    ensure_vault_keys(RUNNER, paths, keys)
    put(paths, "gpg.conf", b"group ecs_mediaserver=ATTACKER\n")
    put(paths, "options", b"keyring /tmp/other\n")
    put(paths, "pubring.kbx", b"KBXf")
    (paths.vault_keys / "secring.lock").symlink_to("/etc/passwd")
    (paths.vault_keys / "private-keys-v1.d").mkdir()
    assert ensure_vault_keys(RUNNER, paths, keys)
    assert_ours(paths, keys)
    ((suspect, why),) = find_suspects(paths).items()
    for name in ("gpg.conf", "options", "pubring.kbx", "secring.lock", "private-keys-v1.d"):
        assert f"unexpected file {name}" in why
        assert (suspect / name).is_symlink() or (suspect / name).exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "huge", "folder"])
def test_what_is_no_keyring_is_kept_aside_and_the_site_goes_on(paths: Paths, keys: VaultKeys, kind: str) -> None:
    ensure_vault_keys(RUNNER, paths, keys)
    ring = paths.vault_keys / "pubring.gpg"
    ring.unlink()
    make: dict[str, Callable[[], object]] = {
        "link": lambda: ring.symlink_to("secring.gpg"),
        "pipe": lambda: os.mkfifo(ring),
        "huge": lambda: ring.write_bytes(HUGE),
        "folder": ring.mkdir,
    }
    make[kind]()
    assert ensure_vault_keys(RUNNER, paths, keys)
    assert_ours(paths, keys)
    assert "pubring.gpg cannot be read as a keyring" in str(find_suspects(paths))


def test_a_link_in_the_place_of_the_folder_is_refused(paths: Paths, keys: VaultKeys, tmp_path: Path) -> None:
    foreign_folder = tmp_path / "foreign"
    foreign_folder.mkdir(mode=0o755)
    paths.data.mkdir()
    paths.vault_keys.symlink_to(foreign_folder)
    with pytest.raises(OSError, match=re.escape(str(paths.vault_keys))):
        ensure_vault_keys(RUNNER, paths, keys)
    assert foreign_folder.stat().st_mode & 0o777 == 0o755


def test_blocks_that_are_no_vault_keys_are_refused(paths: Paths, keys: VaultKeys, make_key: MakeKey) -> None:
    for bad, told in (
        (VaultKeys("no key at all", keys.sign), "vault_encrypt must contain one private key .* but contains 0"),
        (VaultKeys(keys.encrypt, ""), "vault_sign must contain one private key .* but contains 0"),
        (VaultKeys(keys.sign, keys.encrypt), "vault_encrypt is not a key for ecs_mediaserver"),
        (
            VaultKeys(keys.encrypt + keys.sign, keys.sign),
            "vault_encrypt must contain one private key .* but contains 2",
        ),
        (
            VaultKeys(keys.encrypt, make_key("ecs_authority", "ed25519", "sign")),
            "vault_sign must contain one private key .* but contains 0",
        ),
    ):
        with pytest.raises(InvalidEnvError, match=told):
            ensure_vault_keys(RUNNER, paths, bad)
    assert not list(paths.vault_keys.iterdir())


def test_key_that_cannot_encrypt_is_refused(paths: Paths, keys: VaultKeys, make_key: MakeKey) -> None:
    with pytest.raises(ApplianceError, match="unusable public key"):
        ensure_vault_keys(RUNNER, paths, VaultKeys(make_key("ecs_mediaserver", usage="sign"), keys.sign))
    assert not list(paths.vault_keys.iterdir())


def test_key_with_a_passphrase_is_refused(paths: Paths, keys: VaultKeys, make_key: MakeKey) -> None:
    protected = make_key("ecs_authority", passphrase="locked")
    with pytest.raises(ApplianceError):
        ensure_vault_keys(RUNNER, paths, VaultKeys(keys.encrypt, protected))
    assert not (paths.vault_keys / "secring.gpg").exists()


def test_key_material_is_not_shown() -> None:
    assert "secret" not in repr(VaultKeys("secret", "secret"))
