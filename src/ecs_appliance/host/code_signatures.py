"""Verify who signed a commit: with git, in quarantine, and only with the keys that the environment names."""

import re
from collections.abc import Collection
from pathlib import Path

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.runner import Result, Runner
from ecs_appliance.host import git
from ecs_appliance.host.quarantine import Quarantine, quarantine

ALLOWED, KEYRING = "allowed_signers", "keyring"
# Git runs no other program than ssh-keygen and gpg.
PROGRAMS = {
    "gpg.program": "gpg",
    "gpg.openpgp.program": "gpg",
    "gpg.ssh.program": "ssh-keygen",
    "gpg.ssh.allowedSignersFile": ALLOWED,
    "gpg.x509.program": "false",
}
GOOD_SSH = re.compile(r'^Good "git" signature for signer with ', re.MULTILINE)
# gpg's verdicts on a signature; an expired or revoked key has one other than GOODSIG.
VERDICT = re.compile(r"^\[GNUPG:\] (GOODSIG|EXPSIG|EXPKEYSIG|REVKEYSIG|BADSIG|ERRSIG) ", re.MULTILINE)


class DistrustedError(RefusedError):
    """The code is not trusted: not signed by a signer, or not a descendant of what runs."""


def require_signature(
    runner: Runner, repository: Path, commit: str, signers: Collection[str], *, user: str | None
) -> None:
    """Raise DistrustedError unless one of `signers` signed `commit`, or an annotated tag of it, in `repository`.

    `signers` are public keys, OpenSSH's as one line or OpenPGP's armored; git runs as `user` in the repository.
    """
    with quarantine(runner) as held:
        tags = held.take(repository, commit, user=user, files=False)
        _allow(held, signers)
        names = (commit, *(tag for tag in tags if _commit_of(held, tag) == commit))
        if not any(_is_signed(held, name) for name in names):
            raise DistrustedError(
                f"commit {commit} of {repository} is signed by none of the {len(signers)} signers that env.yml names",
                "ask the publisher; add a new signer's public key to git.signers in env.yml",
            )


def require_trust(
    runner: Runner,
    repository: Path,
    commit: str,
    signers: Collection[str],
    *,
    after: Collection[str] = (),
    user: str | None = None,
) -> None:
    """Raise DistrustedError unless `commit` is signed (see `require_signature`) and one of `after` is its ancestor.

    The first of `after` is the commit that runs. Without `signers` any commit is trusted, without `after` any history.
    """
    if not signers:
        return
    require_signature(runner, repository, commit, signers, user=user)
    known = [each for each in after if each]
    if known and not any(git.contains(runner, repository, commit, each, user=user) for each in known):
        raise DistrustedError(
            f"commit {commit} of {repository} is not a descendant of the running {known[0]}: older, or of a "
            "different history",
            "to allow it once: touch /app/etc/flags/force.update.appliance, or force.update.ecs; then update",
        )


def _allow(held: Quarantine, signers: Collection[str]) -> None:
    openpgp = [key for key in signers if key.startswith("-----BEGIN PGP")]
    lines = [f'signer namespaces="git" {" ".join(key.split()[:2])}\n' for key in signers if key not in openpgp]
    held.run("tee", ALLOWED, input="".join(lines))
    held.run("mkdir", "--mode=0700", KEYRING)
    for key in openpgp:
        _with_keyring(held, "gpg", "--batch", "--quiet", "--no-autostart", "--import", key=key)


def _commit_of(held: Quarantine, tag: str) -> str:
    return held.run("git", "rev-parse", "--verify", "--quiet", f"{tag}^{{commit}}", ok=range(256)).stdout.strip()


def _is_signed(held: Quarantine, name: str) -> bool:
    kind = held.run("git", "cat-file", "-t", name).stdout.strip()
    settings = [word for key, value in PROGRAMS.items() for word in ("-c", f"{key}={value}")]
    asked = _with_keyring(held, "git", *settings, f"verify-{kind}", "--raw", name)
    return asked.returncode == 0 and is_good(asked.stderr)


def is_good(said: str) -> bool:
    """Return whether the stderr `said` of git and gpg or ssh-keygen reports exactly one signature, and a good one."""
    verdicts = VERDICT.findall(said)
    return verdicts == ["GOODSIG"] if verdicts else bool(GOOD_SSH.search(said))


def _with_keyring(held: Quarantine, *words: str, key: str | None = None) -> Result:
    return held.run(*words, input=key, env={"GNUPGHOME": str(held.folder / KEYRING)}, ok=range(256))
