"""Who signed a commit: asked of git, in quarantine, with the keys that the environment names and no others."""

import re
from collections.abc import Collection
from pathlib import Path

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.runner import Result, Runner
from ecs_appliance.host import git
from ecs_appliance.host.quarantine import Quarantine, quarantine

ALLOWED, KEYRING = "allowed_signers", "keyring"
# Nothing but ssh-keygen and gpg is ever asked.
PROGRAMS = {
    "gpg.program": "gpg",
    "gpg.openpgp.program": "gpg",
    "gpg.ssh.program": "ssh-keygen",
    "gpg.ssh.allowedSignersFile": ALLOWED,
    "gpg.x509.program": "false",
}
GOOD_SSH = re.compile(r'^Good "git" signature for signer with ', re.MULTILINE)
# What gpg says of a signature; an expired or revoked key has another word than a good one.
VERDICT = re.compile(r"^\[GNUPG:\] (GOODSIG|EXPSIG|EXPKEYSIG|REVKEYSIG|BADSIG|ERRSIG) ", re.MULTILINE)


class DistrustedError(RefusedError):
    """Code that is not what the operator trusts: unsigned, or no successor of what runs."""


def require_signature(
    runner: Runner, repository: Path, commit: str, signers: Collection[str], *, user: str | None
) -> None:
    """Raise DistrustedError unless one of `signers` signed `commit`, or an annotated tag of it, in `repository`.

    `signers` are public keys, OpenSSH's in a line or OpenPGP's armored; git runs as `user` in the repository.
    """
    with quarantine(runner) as held:
        tags = held.take(repository, commit, user=user, files=False)
        _allow(held, signers)
        names = (commit, *(tag for tag in tags if _commit_of(held, tag) == commit))
        if not any(_is_signed(held, name) for name in names):
            raise DistrustedError(
                f"commit {commit} of {repository} is signed by none of the {len(signers)} signers that env.yml names",
                "ask those who publish it; a new signer's public key belongs into git.signers of env.yml",
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
    """Raise DistrustedError unless `commit` is signed, as `require_signature` says, and goes on from one of `after`.

    The first of those is what runs. Without `signers` anything is trusted, without `after` any history.
    """
    if not signers:
        return
    require_signature(runner, repository, commit, signers, user=user)
    known = [each for each in after if each]
    if known and not any(git.contains(runner, repository, commit, each, user=user) for each in known):
        raise DistrustedError(
            f"commit {commit} of {repository} does not go on from {known[0]}, which runs: older, or of another history",
            "if that is meant, once: touch /app/etc/flags/force.update.appliance, or force.update.ecs; then update",
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
    """Whether git and its helper, by what they `said`, found one signature, a good one of a key that may sign."""
    verdicts = VERDICT.findall(said)
    return verdicts == ["GOODSIG"] if verdicts else bool(GOOD_SSH.search(said))


def _with_keyring(held: Quarantine, *words: str, key: str | None = None) -> Result:
    return held.run(*words, input=key, env={"GNUPGHOME": str(held.folder / KEYRING)}, ok=range(256))
