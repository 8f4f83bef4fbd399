"""Publish bare git repositories for machines to clone: this checkout, and folders of it as separate projects."""

from pathlib import Path

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.runner import Runner

SECONDS = 120.0
NAME, ADDRESS = "ecs-appliance demo", "demo@localhost"
IDENTITY = {
    "GIT_AUTHOR_NAME": NAME,
    "GIT_AUTHOR_EMAIL": ADDRESS,
    "GIT_COMMITTER_NAME": NAME,
    "GIT_COMMITTER_EMAIL": ADDRESS,
}
# A checkout may belong to an account other than root.
GIT = ("git", "-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null")


def publish_checkout(checkout: Path, bare: Path, runner: Runner) -> str:
    """Push the commit that is checked out in `checkout` to the branch main of `bare`; return the commit.

    Raise the errors of `head_commit`.
    """
    ensure_bare(bare, "main", runner)
    commit = head_commit(checkout, runner)
    runner.run([*GIT, "-C", checkout, "push", "--quiet", "--force", bare, "HEAD:refs/heads/main"], timeout=SECONDS)
    return commit


def export_checkout(checkout: Path, commit: str, folder: Path, runner: Runner) -> None:
    """Write the files of `commit`, from the repository of `checkout`, to the new folder `folder`."""
    folder.mkdir(parents=True)
    archive = folder / ".tar"
    runner.run([*GIT, "-C", checkout, "archive", f"--output={archive}", commit], timeout=SECONDS)
    runner.run(["tar", "--extract", "-C", folder, "-f", archive], timeout=SECONDS)
    archive.unlink()


def head_commit(checkout: Path, runner: Runner) -> str:
    """Return the commit checked out in `checkout`. Raise RefusedError if that is not a git checkout with a commit."""
    commit = runner.run([*GIT, "-C", checkout, "rev-parse", "--verify", "HEAD"], timeout=SECONDS, ok=(0, 128))
    if commit.returncode:
        raise RefusedError(
            f"{checkout} is not a git checkout with a commit", "clone the appliance with git and run it there"
        )
    return commit.stdout.strip()


def publish_folder(folder: Path, bare: Path, runner: Runner, *, branch: str = "master") -> str:
    """Commit the contents of `folder` to `branch` of `bare` if they differ; return the commit of the branch."""
    ensure_bare(bare, branch, runner)
    reference = f"refs/heads/{branch}"
    git = [*GIT, f"--git-dir={bare}", f"--work-tree={folder}", "-c", "core.bare=false"]

    def output_of(*words: str, ok: tuple[int, ...] = (0,)) -> str:
        return runner.run([*git, *words], timeout=SECONDS, env=IDENTITY, ok=ok, cwd=folder).stdout.strip()

    output_of("add", "--all", ".")
    tree = output_of("write-tree")
    parent = output_of("rev-parse", "--quiet", "--verify", reference, ok=(0, 1))
    if parent and output_of("rev-parse", f"{parent}^{{tree}}") == tree:
        return parent
    parents = ["-p", parent] if parent else []
    commit = output_of("commit-tree", tree, *parents, "-m", f"{folder.name} as it is in this checkout")
    output_of("update-ref", reference, commit)
    return commit


def ensure_signing_key(key: Path, runner: Runner) -> str:
    """Create the OpenSSH key `key` if it does not exist; return its public key, one line."""
    with locked(key.with_name(f".{key.name}.lock"), "creating the signing key", wait=SECONDS):
        if not key.with_name(f"{key.name}.pub").exists():
            key.unlink(missing_ok=True)
            runner.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", ADDRESS, "-f", key], timeout=SECONDS)
    return key.with_name(f"{key.name}.pub").read_text().strip()


def sign(bare: Path, commit: str, key: Path, runner: Runner) -> None:
    """Sign `commit` of `bare` with a tag, as publishers do, unless it is signed."""
    name = f"signed-{commit}"
    git = [*GIT, f"--git-dir={bare}"]
    if not runner.run([*git, "tag", "--list", name], timeout=SECONDS).lines():
        settings = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"]
        runner.run([*git, *settings, "tag", "-s", "-m", "Sign", name, commit], timeout=SECONDS, env=IDENTITY)


def ensure_bare(bare: Path, branch: str, runner: Runner) -> None:
    """Create the bare repository `bare` with the default branch `branch` if it does not exist."""
    if (bare / "HEAD").exists():
        return
    bare.parent.mkdir(parents=True, exist_ok=True)
    runner.run(["git", "init", "--quiet", "--bare", f"--initial-branch={branch}", bare], timeout=SECONDS)
    (bare / "info/exclude").write_text("__pycache__/\n*.pyc\n")
    # The checkout may be a shallow clone.
    runner.run(["git", f"--git-dir={bare}", "config", "receive.shallowUpdate", "true"], timeout=SECONDS)
