"""Secrets rotated as an operator does it: with real keys, and interrupted at any time."""

import json
import os
import sys
from pathlib import Path

import pytest

from ecs_appliance.app.vaultkeys import VaultKeys, ensure_vault_keys
from ecs_appliance.core.errors import DeadlineError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Result, SystemRunner
from ecs_appliance.env.check import check, load
from ecs_appliance.env.create import render
from ecs_appliance.env.model import Env

CHECKOUT = Path(__file__).parents[3]
DOMAIN = "ecs.example.org"
RUNNER = SystemRunner()
GPG = ["gpg1", "--batch", "--no-tty", "--no-permission-warning", "--always-trust", "--homedir"]


@pytest.fixture(scope="module")
def text() -> str:
    return render(DOMAIN, runner=RUNNER)


@pytest.fixture
def file(text: str, tmp_path: Path) -> Path:
    path = tmp_path / "env.yml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def appliance(*words: str | Path, data: str | bytes = "", timeout: float = 60) -> Result:
    command = [sys.executable, "-m", "ecs_appliance", "env", *words]
    environment = {"PYTHONPATH": str(CHECKOUT / "src")}
    return RUNNER.run(command, env=environment, input=data, timeout=timeout, ok=range(256))


def keyring(folder: Path, env: Env) -> Path:
    """Create the keyring as a start does."""
    keys = VaultKeys(env.ecs.vault_encrypt.get_secret_value(), env.ecs.vault_sign.get_secret_value())
    paths = Paths(folder)
    ensure_vault_keys(RUNNER, paths, keys)
    return paths.vault_keys


def seal(folder: Path, document: str) -> bytes:
    """Encrypt and sign a document as the application does."""
    names = ("--recipient", "ecs_mediaserver", "--local-user", "ecs_authority", "--sign", "--encrypt")
    return RUNNER.run([*GPG, folder, *names], timeout=30, input=document).raw


def unseal(folder: Path, sealed: bytes) -> str:
    """Decrypt a document as the application does; return "" if that fails."""
    opened = RUNNER.run([*GPG, folder, "--decrypt"], timeout=30, input=sealed, ok=(0, 2))
    verified = opened.returncode == 0 and 'Good signature from "ecs_authority"' in opened.stderr
    return opened.stdout if verified else ""


@pytest.mark.parametrize("key", ["ecs.vault_encrypt", "ecs.vault_sign"])
def test_old_documents_open_where_it_says_so(key: str, file: Path, tmp_path: Path) -> None:
    before = keyring(tmp_path / "running", load(file))
    sealed = seal(before, "an old document")
    kept = tmp_path / "old.asc"
    result = appliance("rotate", file, key, "--keep-old", kept)
    assert result.returncode == 0, result.stderr
    running = keyring(tmp_path / "running", load(file))
    assert unseal(running, sealed) == "an old document"

    rebuilt = keyring(tmp_path / "rebuilt", load(file))
    assert unseal(rebuilt, sealed) == ""
    (line,) = (line for line in result.lines() if "--import" in line)
    assert line.strip() == f"gpg1 --batch --homedir /data/ecs-gpg --import <{kept.name}"
    RUNNER.run(["gpg1", "--batch", "--homedir", rebuilt, "--import"], timeout=30, input=kept.read_bytes())
    for folder in (rebuilt, keyring(tmp_path / "rebuilt", load(file))):
        assert unseal(folder, sealed) == "an old document"
        assert unseal(running, seal(folder, "a new one")) == "a new one"


def test_a_fresh_key_is_one_that_env_create_could_have_made(file: Path, tmp_path: Path) -> None:
    before = load(file)
    result = appliance("rotate", file, "appliance.backup.encrypt", "--keep-old", tmp_path / "old.asc")
    assert result.returncode == 0, result.stderr
    assert check(file.read_bytes()).ok
    assert load(file).appliance.backup.encrypt != before.appliance.backup.encrypt
    assert load(file).ecs == before.ecs


def test_the_owner_stays(file: Path) -> None:
    os.chown(file, 1234, 1235)
    assert appliance("rotate", file, "ecs.settings.SECRET_KEY", "--yes").returncode == 0
    state = file.stat()
    assert (state.st_uid, state.st_gid, state.st_mode & 0o7777) == (1234, 1235, 0o600)


def test_what_it_says(file: Path) -> None:
    result = appliance("rotate", file, "ecs.settings.SECRET_KEY", "--yes")
    assert result.lines() == [
        f"rotated: ecs.settings.SECRET_KEY in {file}",
        "  once the file is active, all users are logged out",
        f"  → print it again: appliance env package {file}",
        "  → activate it: copy it to /app/env.yml on the machine, then: systemctl start appliance-update",
    ]


@pytest.mark.parametrize(
    ("key", "code", "message"),
    [
        (
            "ecs.vault_encrypt",
            4,
            "without the old ecs.vault_encrypt, nobody can open the documents stored so far\n  → ",
        ),
        ("nothing", 4, '"nothing" cannot be rotated\n  → these can be rotated: appliance.dkim.key, '),
    ],
)
def test_a_refusal_says_what_to_do(key: str, code: int, message: str, file: Path) -> None:
    result = appliance("rotate", file, key)
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.startswith(message)


def test_killed_at_any_moment_the_file_is_the_old_or_the_new_one(file: Path) -> None:
    whole = appliance("rotate", file, "ecs.settings.SECRET_KEY", "--yes").seconds
    seen: set[str] = set()
    for number in range(12):
        before = file.read_bytes()
        try:
            # A run that exceeds its timeout is killed together with everything it started.
            appliance("rotate", file, "ecs.settings.SECRET_KEY", "--yes", timeout=whole * (0.4 + number * 0.06))
        except DeadlineError:
            seen.add("killed")
        after = file.read_bytes()
        assert check(after).problems == check(before).problems
        seen.add("new" if after != before else "old")
        assert list(file.parent.iterdir()) == [file]
    assert seen >= {"killed", "old"}


def test_diff_reads_files_and_standard_input(file: Path, text: str, tmp_path: Path) -> None:
    other = tmp_path / "other.yml"
    other.write_text(text.replace("standby: false", "standby: true") + "# the end\n")
    appliance("rotate", other, "appliance.dkim.key", "--yes")
    expected = ["changed  appliance.standby: false → true", "changed  appliance.dkim.key  (not shown)"]
    for result in (
        appliance("diff", file, other),
        appliance("diff", "-", other, data=text),
        appliance("diff", file, "-", data=other.read_bytes()),
    ):
        assert (result.lines(), result.returncode) == (expected, 0)
    listed = json.loads(appliance("diff", "--json", file, other).stdout)
    assert listed[0] == {
        "path": "appliance.standby",
        "change": "changed",
        "old": "false",
        "new": "true",
        "hidden": False,
    }


def test_diff_of_the_same_is_no_difference(file: Path) -> None:
    result = appliance("diff", file, file)
    assert (result.stdout, result.returncode) == ("no differences\n", 0)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("{file}", "{broken}"), 3, "{broken}:3:1: error: "),
        (("{broken}", "{file}"), 3, "{broken}:3:1: error: "),
        (("-", "{file}"), 3, "-:1:1: error: "),
        (("{file}", "/nowhere/env.yml"), 1, "cannot read /nowhere/env.yml: No such file or directory"),
        (("-", "-"), 2, "Usage: "),
    ],
)
def test_diff_says_what_it_cannot_read(words: tuple[str, str], code: int, message: str, file: Path) -> None:
    broken = file.with_name("broken.yml")
    broken.write_text("#cloud-config\nappliance: [\n")
    names = {"file": file, "broken": broken}
    result = appliance("diff", *(word.format(**names) for word in words), data="a text")
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.startswith(message.format(**names))
