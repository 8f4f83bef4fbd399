"""Archives can be decrypted with each private key; unusable keys are refused by name; nothing is left behind."""

import io
import os
import re
import shutil
import signal
import sys
import tarfile
import tempfile
import time
from base64 import encodebytes
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ecs_appliance.core import runner
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.runner import CommandError, Result, SystemRunner
from ecs_appliance.env.pgp_packets import dearmor, packets
from ecs_appliance.offline_copy.encrypted_archive import archive, encrypt, find_gpg
from ecs_appliance.offline_copy.recipient_keys import Recipient
from tests.integration.offline_copy.people import BOTH, Person, person

RUNNER = SystemRunner()
LONG_AGO = "20200101T000000"
SIGNATURE = 2
MODIFIED = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
FILES = {"env.yml": b"#cloud-config\n", "env.yml.pdf": bytes(range(256)) * 40, "env-cidata.iso": b"\0" * 65536}

People = dict[str, Person]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    folder = tmp_path_factory.mktemp("people")
    made = [
        person(folder, "Office", *BOTH),
        person(folder, "Safe", ("rsa2048", "sign,encrypt")),
        person(folder, "Twice", *BOTH, BOTH[1]),
        person(folder, "Signer", ("ed25519", "sign")),
        person(folder, "Old", *BOTH[:1], expires="1d", at=LONG_AGO),
        person(folder, "Halfold", *BOTH, expires="1d", at=LONG_AGO),
        person(folder, "Future", *BOTH, at="20990101T000000"),
        person(folder, "Lost", *BOTH),
        person(folder, "Halflost", *BOTH),
    ]
    known = {each.home.name: each for each in made}
    known["Lost"].revoke()
    yield known
    for each in made:
        each.leave()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files, which must be empty again at the end."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def keys_of(people: People, *names: str) -> bytes:
    return b"\n".join(people[name].public() for name in names)


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of all processes that mention `folder`."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in lines if str(folder) in line]


def test_each_key_opens_the_whole_archive(people: People, temporary: Path) -> None:
    names = ("Office", "Safe", "Twice")
    packed = archive(FILES, MODIFIED)
    sealed = encrypt(packed, keys_of(people, *names), RUNNER)
    assert sealed.recipients == tuple(Recipient(people[name].fingerprint, people[name].user) for name in names)
    for name in names:
        assert people[name].open(sealed.data) == packed
    assert people["Office"].open(sealed.data) != sealed.data
    with tarfile.open(fileobj=io.BytesIO(people["Safe"].open(sealed.data)), mode="r:gz") as tar:
        entries = tar.getmembers()
        assert {entry.name: tar.extractfile(entry).read() for entry in entries} == FILES  # type: ignore[union-attr]
    assert {(entry.mode, entry.uid, entry.gid, entry.mtime) for entry in entries} == {
        (0o600, 0, 0, MODIFIED.timestamp())
    }
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


def test_the_keyring_of_a_killed_run_is_removed_when_it_is_old(people: People, temporary: Path) -> None:
    old, young, foreign = (temporary / name for name in ("appliance-gpg.old", "appliance-gpg.young", "other"))
    for folder in (old, young, foreign):
        folder.mkdir()
        (folder / "pubring.kbx").touch()
    two_hours_ago = time.time() - 7200
    for folder in (old, foreign):
        os.utime(folder, (two_hours_ago, two_hours_ago))
    link = temporary / "appliance-gpg.link"
    link.symlink_to(foreign)
    os.utime(link, (two_hours_ago, two_hours_ago), follow_symlinks=False)
    encrypt(b"secret", keys_of(people, "Office"), RUNNER)
    assert sorted(temporary.iterdir()) == sorted([young, foreign, link])
    assert (foreign / "pubring.kbx").exists()


def test_a_stranger_cannot_open_it(people: People) -> None:
    sealed = encrypt(b"secret", keys_of(people, "Office"), RUNNER)
    with pytest.raises(CommandError, match="No secret key"):
        people["Safe"].open(sealed.data)


def test_one_block_may_hold_several_keys(people: People, tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    folder.mkdir(mode=0o700)
    ring = Person(folder, "", "")
    ring.gpg("--import", data=keys_of(people, "Office", "Safe"))
    block = ring.gpg("--armor", "--export")
    ring.leave()
    assert block.count(b"BEGIN") == 1
    sealed = encrypt(b"secret", block + keys_of(people, "Office"), RUNNER)
    assert {each.fingerprint for each in sealed.recipients} == {people[name].fingerprint for name in ("Office", "Safe")}
    assert people["Office"].open(sealed.data) == people["Safe"].open(sealed.data) == b"secret"


def test_a_newer_copy_of_a_key_prolongs_it(people: People, tmp_path: Path) -> None:
    someone = person(tmp_path, "Prolonged", ("rsa2048", "sign,encrypt"), expires="1d", at=LONG_AGO)
    old = someone.public()
    someone.gpg("--quick-set-expire", someone.fingerprint, "never")
    assert someone.open(encrypt(b"secret", old + someone.public(), RUNNER).data) == b"secret"
    someone.leave()


def broken_at(key: bytes, index: int) -> bytes:
    """Return the armored `key` with its signature number `index` made invalid."""
    data = dearmor(key.decode())
    signature = [body for tag, body in packets(data) if tag == SIGNATURE][index]
    data = data.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1]))
    return b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + encodebytes(data) + b"-----END PGP PUBLIC KEY BLOCK-----\n"


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("Signer", Person.public, "this key can only sign"),
        ("Old", Person.public, "this key expired on 2020-01-02"),
        ("Halfold", Person.public, "its encryption key expired on 2020-01-02"),
        ("Lost", Person.public, "this key is revoked"),
        ("Future", Person.public, "was created "),
        ("Safe", lambda safe: broken_at(safe.public(), 0), "gpg does not accept it: 1 bad signature; "),
        ("Office", lambda office: broken_at(office.public(), 1), "this key can only sign"),
        ("Office", Person.private, "this is the private key "),
    ],
)
def test_a_key_that_cannot_be_used_is_named(
    people: People, name: str, make: Callable[[Person], bytes], reason: str, temporary: Path
) -> None:
    someone = people[name]
    with pytest.raises(RefusedError, match=re.escape(reason)) as caught:
        encrypt(b"secret", keys_of(people, "Twice") + make(someone), RUNNER)
    _, *faults = caught.value.message.split("\n  ")
    assert len(faults) == 1
    assert f"{someone.fingerprint} {someone.user}" in faults[0]
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


def test_a_revoked_encryption_key_is_named(people: People) -> None:
    someone = people["Halflost"]
    dialogue = b"key 1\nrevkey\ny\n0\n\ny\nsave\n"
    someone.gpg("--command-fd=0", "--edit-key", someone.fingerprint, data=dialogue)
    with pytest.raises(RefusedError, match=f"{someone.fingerprint} .*: its encryption key is revoked"):
        encrypt(b"secret", someone.public(), RUNNER)


def test_all_faults_are_told_at_once(people: People) -> None:
    keys = keys_of(people, "Signer", "Office", "Old") + people["Safe"].public()[:-200]
    with pytest.raises(RefusedError) as caught:
        encrypt(b"x", keys, RUNNER)
    told = caught.value.message
    assert [people[name].fingerprint in told for name in ("Signer", "Old", "Office")] == [True, True, False]
    assert "damaged" in told


def test_who_can_open_it_is_told_in_the_order_of_the_keys(people: People, temporary: Path) -> None:
    assert [each.user for each in encrypt(b"x", keys_of(people, "Safe", "Office"), RUNNER).recipients] == [
        people["Safe"].user,
        people["Office"].user,
    ]
    assert list(temporary.iterdir()) == []


class Meddling:
    """Run real processes, with their argv modified by `change`."""

    def __init__(self, change: Callable[[list[str]], list[str]]) -> None:
        self.change = change

    def run(self, argv: Sequence[str | Path], **options: Any) -> Result:
        """See Runner.run."""
        return RUNNER.run(self.change([str(word) for word in argv]), **options)


def test_an_archive_for_fewer_is_noticed(people: People) -> None:
    lost = f"--recipient={people['Safe'].fingerprint}"
    meddling = Meddling(lambda argv: [word for word in argv if word != lost])
    with pytest.raises(ApplianceError, match=people["Safe"].fingerprint):
        encrypt(b"secret", keys_of(people, "Office", "Safe"), meddling)


def test_nothing_stays_where_gpg_fails(people: People, temporary: Path) -> None:
    meddling = Meddling(lambda argv: [*argv, "--no-such-option"] if "--encrypt" in argv else argv)
    with pytest.raises(CommandError, match="no-such-option"):
        encrypt(b"secret", keys_of(people, "Office"), meddling)
    assert list(temporary.iterdir()) == []


def test_a_missing_gpg_is_told_with_its_remedy(
    people: People, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = keys_of(people, "Office")
    assert find_gpg(RUNNER).startswith("gpg (GnuPG) 2.")
    monkeypatch.setitem(runner.BASE_ENVIRONMENT, "PATH", str(temporary))
    with pytest.raises(RefusedError, match="gpg is not installed") as caught:
        encrypt(b"secret", keys, RUNNER)
    assert "apt-get install gpg" in caught.value.hint
    assert list(temporary.iterdir()) == []


CHILD = """
import sys
from pathlib import Path
from ecs_appliance.core.runner import BASE_ENVIRONMENT, SystemRunner
from ecs_appliance.offline_copy.encrypted_archive import encrypt
BASE_ENVIRONMENT["PATH"] = f"{sys.argv[2]}:{BASE_ENVIRONMENT['PATH']}"
encrypt(b"the-root-of-trust" * 4_000_000, Path(sys.argv[1]).read_bytes(), SystemRunner())
"""
# Sleeps after its work, so that a test can catch it in time.
SLOW_GPG = """#!/bin/sh
{gpg} "$@"
code=$?
sleep 0.3
exit $code
"""


@pytest.mark.parametrize("moment", ["--import", "--list-keys", "--encrypt"])
def test_a_kill_leaves_public_keys_at_most(people: People, tmp_path: Path, temporary: Path, moment: str) -> None:
    keys = tmp_path / "gpgkeys.txt"
    keys.write_bytes(keys_of(people, "Office", "Safe", "Twice"))
    slow = tmp_path / "bin/gpg"
    slow.parent.mkdir()
    slow.write_text(SLOW_GPG.format(gpg=shutil.which("gpg")))
    slow.chmod(0o755)
    for _ in range(5):
        child = RUNNER.spawn([sys.executable, "-c", CHILD, str(keys), str(slow.parent)], env={"TMPDIR": str(temporary)})
        while child.poll() is None:
            if any(moment in line for line in processes_of(temporary)):
                os.kill(child.pid, signal.SIGKILL)
        if child.wait() == -signal.SIGKILL:
            break
    assert child.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while processes_of(temporary) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(temporary) == []
    left = [file for file in temporary.rglob("*") if file.is_file()]
    assert {file.name.removesuffix("~") for file in left} <= {"pubring.kbx", "random_seed", "trustdb.gpg"}
    assert not any(b"root-of-trust" in file.read_bytes() for file in left)
    assert all(folder.stat().st_mode & 0o7777 == 0o700 for folder in temporary.iterdir())
    for folder in temporary.iterdir():
        assert Person(folder, "", "").gpg("--no-autostart", "--with-colons", "--list-keys").count(b"\nsec:") == 0
