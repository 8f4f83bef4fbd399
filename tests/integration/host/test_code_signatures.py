"""Whose signatures are accepted, with real git, ssh-keygen and gpg; needs root, as the appliance does."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.signer_keys import signer
from ecs_appliance.host.code_signatures import DistrustedError, is_good, require_trust
from ecs_appliance.lifecycle.release import add_release

RUNNER = SystemRunner()
AUTHOR = {f"GIT_{who}_{what}": "Test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
SECONDS = 60


class Publisher:
    """A publisher with a repository, OpenSSH keys by name, and OpenPGP keys by user id."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.home = folder / "repository", folder / "gnupg"
        self.home.mkdir(mode=0o700)
        self.keys = folder
        self.repository.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        env = {**AUTHOR, "GNUPGHOME": str(self.home)}
        return RUNNER.run(["git", "-C", self.repository, *words], timeout=SECONDS, env=env).stdout.strip()

    def ssh(self, name: str) -> str:
        """Create a key, and return its public part."""
        RUNNER.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.keys / name], timeout=SECONDS)
        return signer((self.keys / f"{name}.pub").read_text())

    def gpg(self, *words: str) -> str:
        quick = ["gpg", "--batch", "--pinentry-mode=loopback", "--passphrase", "", *words]
        return RUNNER.run(quick, timeout=SECONDS, env={"GNUPGHOME": str(self.home)}).stdout

    def openpgp(self, name: str, expires: str = "never") -> str:
        """Create a key, and return its public part."""
        self.gpg("--quick-generate-key", f"{name} <{name}@example.org>", "ed25519", "sign", expires)
        return signer(self.gpg("--armor", "--export", f"{name}@example.org"))

    def commit(self, *, ssh: str = "", openpgp: str = "") -> str:
        return self._signed("commit", "--allow-empty", "--quiet", "-m", "change", ssh=ssh, openpgp=openpgp)

    def tag(self, commit: str, name: str, *, ssh: str = "", openpgp: str = "") -> None:
        self._signed("tag", "-m", "release", name, commit, ssh=ssh, openpgp=openpgp)

    def _signed(self, command: str, *words: str, ssh: str, openpgp: str) -> str:
        how = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.keys / ssh}"] if ssh else []
        how = how or ["-c", f"user.signingkey={openpgp}@example.org"] if ssh or openpgp else []
        sign = {"commit": "-S", "tag": "-s"}[command]
        self.git(*how, command, *([sign] if how else []), *words)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    made = Publisher(tmp_path)
    yield made
    RUNNER.run(["gpgconf", "--kill", "all"], timeout=SECONDS, env={"GNUPGHOME": str(made.home)}, ok=range(256))


def trusted(publisher: Publisher, commit: str, *signers: str, **more: Any) -> bool:
    try:
        require_trust(RUNNER, publisher.repository, commit, signers, **more)
    except DistrustedError:
        return False
    return True


def test_a_commit_counts_by_its_ssh_key(publisher: Publisher) -> None:
    ours, others = publisher.ssh("ours"), publisher.ssh("others")
    good, bad, none = publisher.commit(ssh="ours"), publisher.commit(ssh="others"), publisher.commit()
    assert trusted(publisher, good, ours)
    assert not trusted(publisher, bad, ours)
    assert not trusted(publisher, none, ours)
    assert trusted(publisher, bad, ours, others)
    assert trusted(publisher, none), "without signers everything is as before"


def test_a_tag_counts_for_its_commit_alone(publisher: Publisher) -> None:
    ours = publisher.ssh("ours")
    publisher.ssh("others")
    first, second = publisher.commit(), publisher.commit()
    publisher.tag(second, "by-others", ssh="others")
    publisher.tag(second, "by-nobody")
    assert not trusted(publisher, second, ours)
    publisher.tag(second, "v1", ssh="ours")
    assert trusted(publisher, second, ours)
    assert not trusted(publisher, first, ours)


def test_openpgp_counts_too(publisher: Publisher) -> None:
    ours = publisher.openpgp("ours")
    publisher.openpgp("others")
    good, bad = publisher.commit(openpgp="ours"), publisher.commit(openpgp="others")
    assert trusted(publisher, good, ours)
    assert not trusted(publisher, bad, ours)


def test_a_key_that_expired_counts_no_more(publisher: Publisher) -> None:
    ours = publisher.openpgp("ours")
    commit = publisher.commit(openpgp="ours")
    assert trusted(publisher, commit, ours)
    listed = publisher.gpg("--with-colons", "--list-keys").splitlines()
    number = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
    publisher.gpg("--quick-set-expire", number, "seconds=1")
    time.sleep(2)
    assert not trusted(publisher, commit, publisher.gpg("--armor", "--export"))


def test_both_kinds_beside_each_other(publisher: Publisher) -> None:
    keys = publisher.ssh("ours"), publisher.openpgp("ours")
    assert trusted(publisher, publisher.commit(ssh="ours"), *keys)
    assert trusted(publisher, publisher.commit(openpgp="ours"), *keys)
    assert not trusted(publisher, publisher.commit(), *keys)


def test_a_signature_moved_to_another_commit_does_not_count(publisher: Publisher) -> None:
    ours = publisher.ssh("ours")
    publisher.commit(ssh="ours")
    signed = publisher.git("cat-file", "commit", "HEAD")
    moved = RUNNER.run(
        ["git", "-C", publisher.repository, "hash-object", "-t", "commit", "-w", "--stdin"],
        timeout=SECONDS,
        input=signed.replace("change", "evil") + "\n",
    ).stdout.strip()
    assert not trusted(publisher, moved, ours)


def test_history_goes_on_from_what_runs(publisher: Publisher) -> None:
    ours = publisher.ssh("ours")
    old, running = publisher.commit(ssh="ours"), publisher.commit(ssh="ours")
    newer = publisher.commit(ssh="ours")
    assert trusted(publisher, newer, ours, after=[running])
    assert trusted(publisher, running, ours, after=[running])
    assert not trusted(publisher, old, ours, after=[running]), "a downgrade"
    publisher.git("checkout", "--quiet", "--orphan", "rewritten")
    assert not trusted(publisher, publisher.commit(ssh="ours"), ours, after=[running]), "another history"
    assert not trusted(publisher, newer, ours, after=["f" * 40]), "what runs is unknown there"
    assert trusted(publisher, old, ours, after=[]), "asked for"
    assert trusted(publisher, old, ours, after=[running, old]), "found good before"


def test_a_repository_cannot_vouch_for_itself(publisher: Publisher) -> None:
    """Its configuration, replacement objects and settings for other programs have no effect."""
    ours = publisher.ssh("ours")
    signed, evil = publisher.commit(ssh="ours"), publisher.commit()
    for key in ("gpg.program", "gpg.ssh.program", "gpg.openpgp.program"):
        publisher.git("config", key, "true")
    publisher.git("replace", evil, signed)
    assert not trusted(publisher, evil, ours)


@pytest.mark.parametrize(
    ("said", "good"),
    [
        ("[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG AB name\n[GNUPG:] VALIDSIG CD\n", True),
        ("[GNUPG:] GOODSIG AB name\n[GNUPG:] BADSIG AB name\n", False),
        ("[GNUPG:] EXPKEYSIG AB name\n[GNUPG:] VALIDSIG CD\n", False),
        ("[GNUPG:] REVKEYSIG AB name\n", False),
        ('Good "git" signature for signer with ED25519 key SHA256:AB\n', True),
        ('Good "git" signature with ED25519 key SHA256:AB\nNo principal matched.\n', False),
        ("", False),
    ],
)
def test_what_is_said_of_a_good_signature(said: str, good: bool) -> None:
    assert is_good(said) is good


def test_a_release_that_nobody_signed_never_runs(publisher: Publisher, tmp_path: Path) -> None:
    """Root would otherwise run its launcher to see whether it works."""
    ours, ran = publisher.ssh("ours"), tmp_path / "ran"
    launcher = publisher.repository / "appliance"
    launcher.write_text(f"#!/bin/sh\ntouch {ran}\n")
    launcher.chmod(0o755)
    publisher.git("add", "appliance")
    publisher.commit()
    paths = Paths(tmp_path / "machine")
    where: dict[str, Any] = {"source": str(publisher.repository), "branch": "main", "signers": (ours,)}
    with pytest.raises(DistrustedError, match="is signed by none"):
        add_release(paths, RUNNER, **where)
    assert not ran.exists()
    signed = publisher.commit(ssh="ours")
    assert add_release(paths, RUNNER, **where).commit == signed
    assert ran.exists()
