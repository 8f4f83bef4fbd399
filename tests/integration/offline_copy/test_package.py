"""`appliance env package` with real gpg: archives can be decrypted, and a killed run leaves complete files or none."""

import io
import os
import shutil
import signal
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from random import Random

import pytest

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import Result, SystemRunner
from ecs_appliance.offline_copy.package import package
from ecs_appliance.paper.pictures import on_disk
from ecs_appliance.paper.scan import Reading, read
from tests.integration.offline_copy.people import BOTH, Person, person
from tests.integration.offline_copy.postoffice import PostOffice

CHECKOUT = Path(__file__).parents[3]
EVERYTHING = CHECKOUT / "tests/fixtures/env/accepted/everything.yml"
RUNNER = SystemRunner()
KILLS = 15


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Person]]:
    folder = tmp_path_factory.mktemp("people")
    made = [person(folder, "Office", *BOTH), person(folder, "Safe", *BOTH)]
    yield made
    for each in made:
        each.leave()


@pytest.fixture
def file(tmp_path: Path, people: list[Person]) -> Path:
    """Return an env.yml with the recipients' keys next to it."""
    folder = tmp_path / "new"
    folder.mkdir()
    shutil.copy(EVERYTHING, folder / "env.yml")
    (folder / "gpgkeys.txt").write_bytes(b"".join(each.public() for each in people))
    return folder / "env.yml"


def opened(sealed: bytes) -> dict[str, bytes]:
    """Return the files of the archive."""
    with tarfile.open(fileobj=io.BytesIO(sealed)) as tar:
        return {name: handle.read() for name in tar.getnames() if (handle := tar.extractfile(name))}


def test_everybody_can_open_the_archive_and_finds_everything_in_it(file: Path, people: list[Person]) -> None:
    made = package(file, RUNNER)
    assert made.encrypted
    assert {recipient.fingerprint for recipient in made.recipients} == {each.fingerprint for each in people}
    for each in people:
        files = opened(each.open(made.encrypted.read_bytes()))
        assert sorted(files) == ["env-cidata.iso", "env.yml", "env.yml.pdf"]
        assert all(files[name] == file.with_name(name).read_bytes() for name in files)


def test_a_damaged_key_means_nothing_is_written(file: Path) -> None:
    keys = file.with_name("gpgkeys.txt")
    keys.write_bytes(keys.read_bytes()[:-100])
    with pytest.raises(Exception, match=r"gpgkeys\.txt"):
        package(file, RUNNER)
    assert sorted(path.name for path in file.parent.iterdir()) == ["env.yml", "gpgkeys.txt"]


@pytest.mark.timeout(120)
def test_whoever_kills_it_finds_whole_files_or_none(file: Path, people: list[Person], tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    secret = b"-----BEGIN PGP PRIVATE KEY BLOCK-----"
    assert secret in file.read_bytes()
    environment = {"PYTHONPATH": str(CHECKOUT / "src"), "TMPDIR": str(temporary)}
    argv = [sys.executable, "-m", "ecs_appliance", "env", "package", str(file)]
    began = time.monotonic()
    RUNNER.run(argv, env=environment, timeout=60)
    seconds, random, killed = time.monotonic() - began, Random(3), 0
    for _ in range(KILLS):
        child = RUNNER.spawn(argv, env=environment)
        time.sleep(random.uniform(0, seconds))
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            killed += 1
        child.wait()
        check_products(file, people[0])
    assert killed
    assert not any(secret in content for content in left_in(temporary))
    made = package(file, RUNNER)
    assert made.encrypted
    check_products(file, people[0])


def left_in(folder: Path) -> Iterator[bytes]:
    """Yield the contents of all files below `folder`; the gpg of a killed run may still be removing its own."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):
            yield path.read_bytes()


def check_products(file: Path, reader: Person) -> None:
    """Assert that all files next to env.yml are complete products."""
    for path in file.parent.iterdir():
        if path.name in ("env.yml", "gpgkeys.txt"):
            continue
        assert path.stat().st_mode & 0o7777 == 0o600
        if path.name.startswith("."):
            # It was about to replace an older product; a run a minute later removes it.
            continue
        if path.suffix == ".pdf":
            assert read([on_disk(path)], Reading()).data == file.read_bytes()
        elif path.suffix == ".iso":
            assert file.read_bytes() in path.read_bytes()
        else:
            assert path.name.endswith(".tar.gz.gpg")
            assert opened(reader.open(path.read_bytes()))["env.yml"] == file.read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder with room for the paper and the drive, but not for the archive."""
    folder = tmp_path / "small"
    folder.mkdir()
    RUNNER.run(["mount", "-t", "tmpfs", "-o", "size=320k", "tmpfs", folder], timeout=30)
    try:
        yield folder
    finally:
        RUNNER.run(["umount", folder], timeout=30)


def test_on_a_full_disk_nothing_is_written(file: Path, small_disk: Path) -> None:
    for path in (file, file.with_name("gpgkeys.txt")):
        shutil.copy(path, small_disk)
    with pytest.raises(ApplianceError, match="No space left") as caught:
        package(small_disk / "env.yml", RUNNER)
    assert caught.value.hint == "free up space, then run it again"
    assert sorted(path.name for path in small_disk.iterdir()) == ["env.yml", "gpgkeys.txt"]


def test_two_at_once(file: Path, people: list[Person]) -> None:
    environment = {"PYTHONPATH": str(CHECKOUT / "src")}
    words = [sys.executable, "-m", "ecs_appliance", "env", "package", str(file)]
    children = [RUNNER.spawn(words, env=environment) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    check_products(file, people[1])


def appliance(*words: str | Path) -> Result:
    environment = {"PYTHONPATH": str(CHECKOUT / "src")}
    return RUNNER.run([sys.executable, "-m", "ecs_appliance", *words], env=environment, timeout=60, ok=range(256))


def test_the_archive_is_mailed_to_everybody_in_emailto(file: Path, people: list[Person]) -> None:
    file.with_name("emailto.txt").write_text("# who keeps it\noffice@example.org\n\nsafe@example.org\n")
    office = PostOffice()
    with office.open() as port:
        done = appliance("env", "package", file, "--smtp", f"smtp://127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr
    assert "mailed     to office@example.org, safe@example.org" in done.lines()
    (mail,) = office.received
    assert mail.recipients == ("office@example.org", "safe@example.org")
    (attached,) = message_from_bytes(mail.content, policy=default).iter_attachments()
    sealed = attached.get_payload(decode=True)
    assert isinstance(sealed, bytes)
    assert opened(people[1].open(sealed))["env.yml"] == file.read_bytes()
    assert b"PRIVATE KEY" not in mail.content


def test_nobody_is_mailed_without_a_server_and_that_is_told(file: Path) -> None:
    file.with_name("emailto.txt").write_text("office@example.org\n")
    done = appliance("env", "package", file)
    assert done.returncode == 0
    assert f"not mailed to {file.with_name('emailto.txt')}: no mail server given (--smtp)" in done.lines()


def test_nothing_is_mailed_that_is_not_encrypted(file: Path) -> None:
    file.with_name("emailto.txt").write_text("office@example.org\n")
    file.with_name("gpgkeys.txt").unlink()
    done = appliance("env", "package", file, "--smtp", "smtp://127.0.0.1:1")
    assert done.returncode == 4
    assert "unencrypted files are never mailed" in done.stderr
    assert sorted(path.name for path in file.parent.iterdir()) == ["emailto.txt", "env.yml"]


def test_the_package_is_there_although_the_mail_is_not(file: Path) -> None:
    file.with_name("emailto.txt").write_text("office@example.org\n")
    office = PostOffice(answers={"office@example.org": "550 no such user"})
    with office.open() as port:
        done = appliance("env", "package", file, "--smtp", f"smtp://127.0.0.1:{port}")
    assert done.returncode == 1
    assert "office@example.org: 550 no such user" in done.stderr
    assert file.with_name("env.yml.pdf").exists()


def test_requirements_only_tells_what_is_missing(tmp_path: Path) -> None:
    done = appliance("env", "package", "--requirements")
    assert (done.returncode, done.lines()[0][:18]) == (0, "nothing is missing")
