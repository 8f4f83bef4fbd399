"""Maintain git checkouts that follow a source: fetch first, then inspect, then check out."""

import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.runner import CommandError, ProcessError, Result, Runner

FETCH_SECONDS = 1800
LOCAL_SECONDS = 300
REMOTE = "appliance"
MOST_TAGS = 50
# Keeps the URL, which may contain a token, out of argv, and the user's own hooks and helpers out of use.
CONFIG = """\
[core]
    hooksPath = /dev/null
[credential]
    helper =
[advice]
    detachedHead = false
[gc]
    autoDetach = false
[remote "{remote}"]
    url = "{url}"
    fetch = +refs/heads/*:refs/remotes/origin/*
    uploadpack = {uploadpack}
"""
# A local source may belong to another account. Root reads it as that account (AS_OWNER); other users may read any.
ANYBODYS = """\
[safe]
    directory = *
"""
UPLOAD_PACK = "git-upload-pack"
AS_OWNER = (
    "env GIT_CONFIG_GLOBAL=/dev/null HOME=/ "
    "setpriv --reuid={uid} --regid={gid} --clear-groups --no-new-privs -- git-upload-pack"
)
# Nobody can tamper with the data of these protocols on the way; the others are for commits checked by id or signature.
AUTHENTIC = "file:https:ssh"
PLAIN = f"{AUTHENTIC}:git:http"
ENVIRONMENT = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "LC_ALL": "C.UTF-8",
}
FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Commit:
    """A commit by its full id, and the branch it was found on ("" for a pinned one)."""

    id: str
    branch: str = ""


def fetch(
    runner: Runner,
    folder: Path,
    *,
    source: str,
    branch: str,
    commitid: str = "",
    user: str | None = None,
    plain: bool = False,
) -> Commit:
    """Fetch all of `source` into the repository of `folder`, created if missing, without changing its files.

    Return the commit `commitid`, or else the head of `branch`; an empty `branch` means the source's default branch.
    Git runs as `user`. Repair what an interrupted run left behind. `plain` also allows git:// and http://, where
    others on the network can inject commits. Raise ApplianceError naming what is missing.
    """
    _check_arguments(source, branch, commitid)
    git = _Git(runner, folder, user, source, plain)
    _prepare(git)
    try:
        _fetch_all(git)
    except ProcessError as error:
        if _is_sound(git):
            raise _unreachable(source, error) from None
        _replace_repository(git)
    return _target(git, branch, commitid)


def checkout(runner: Runner, folder: Path, commit: str, *, user: str | None = None) -> None:
    """Set the files of `folder` to `commit`, removing local changes and untracked files."""
    git = _Git(runner, folder, user)
    _remove_locks(git)
    git("checkout", "--quiet", "--force", "--detach", _checked_id(commit), "--")
    git("clean", "-ffdxq")


def head(runner: Runner, folder: Path, *, user: str | None = None) -> str | None:
    """Return the full id of the commit that `folder` is at; None if it is no checkout.

    Git runs as `user`, because anyone who may write a repository's configuration can make git run programs.
    """
    if not (folder / ".git").exists():
        return None
    return _resolve(_Git(runner, folder, user), "HEAD")


def files_added(
    runner: Runner, folder: Path, old: str, new: str, pattern: str, *, user: str | None = None
) -> list[str] | None:
    """Return the paths matching the glob `pattern` (`**/migrations/**`) that `new` has and `old` has not.

    Return None if one of the two commits is unknown. `user` as for `head`.
    """
    git = _Git(runner, folder, user)
    if _resolve(git, old) is None or _resolve(git, new) is None:
        return None
    limits = ("diff", "--name-only", "--no-renames", "--diff-filter=A", "-z")
    found = git(*limits, _checked_id(old), _checked_id(new), "--", f":(glob){pattern}")
    return [path for path in found.stdout.split("\0") if path]


def is_full_id(text: str) -> bool:
    """Return whether `text` is a full commit id, which can never name another commit."""
    return FULL_ID.fullmatch(text) is not None


def contains(runner: Runner, folder: Path, commit: str, ancestor: str, *, user: str | None = None) -> bool:
    """Return whether `ancestor` is `commit` or in its history; False also if it is unknown. `user` as for `head`."""
    if not FULL_ID.fullmatch(ancestor):
        return False
    git = _Git(runner, folder, user)
    return git("merge-base", "--is-ancestor", ancestor, _checked_id(commit), ok=(0, 1, 128)).returncode == 0


def pack(runner: Runner, folder: Path, commit: str, file: IO[bytes], *, user: str | None, files: bool) -> list[str]:
    """Write `commit` and its annotated tags to `file` as a pack, with its files if `files`; return the tags' ids."""
    git = _Git(runner, folder, user)
    listed = "--format=%(objecttype) %(objectname)"
    found = git("for-each-ref", f"--count={MOST_TAGS}", f"--points-at={_checked_id(commit)}", listed, "refs/tags")
    tags = sorted({line.split()[1] for line in found.lines() if line.startswith("tag ")})
    wanted = [*([f"--shallow {commit}"] if files else []), commit, *tags]
    options = ["--revs"] if files else []
    git("pack-objects", "--quiet", "--stdout", *options, input="".join(f"{word}\n" for word in wanted), output=file)
    return tags


@dataclass(frozen=True)
class _Git:
    """Run git in `folder` as `user`, with our own configuration only."""

    runner: Runner
    folder: Path
    user: str | None
    source: str = ""
    plain: bool = False

    def __call__(
        self,
        *arguments: str,
        timeout: float = LOCAL_SECONDS,
        ok: Sequence[int] = (0,),
        input: str | None = None,  # noqa: A002 # as in Runner.run
        output: IO[bytes] | None = None,
    ) -> Result:
        with _config_file(self.source, self.user) as config:
            return self.runner.run(
                ["git", "-C", self.folder, *arguments],
                timeout=timeout,
                user=self.user,
                env={
                    **ENVIRONMENT,
                    "GIT_ALLOW_PROTOCOL": PLAIN if self.plain else AUTHENTIC,
                    "GIT_CONFIG_GLOBAL": str(config),
                    "HOME": _home(self.user),
                },
                ok=ok,
                secrets=_secrets(self.source),
                input=input,
                output=output,
            )


@contextmanager
def _config_file(source: str, user: str | None) -> Iterator[Path]:
    url = source.replace("\\", "\\\\").replace('"', '\\"')
    with tempfile.NamedTemporaryFile("w", prefix="appliance-git.", encoding="utf-8") as handle:
        handle.write(CONFIG.format(remote=REMOTE, url=url, uploadpack=_upload_pack(source, user)))
        handle.write(ANYBODYS if user else "")
        handle.flush()
        _give(Path(handle.name), user)
        yield Path(handle.name)


def _upload_pack(source: str, user: str | None) -> str:
    """Return the program that reads `source`; when root fetches from another account's folder, it runs as its owner."""
    folder = Path(source.removeprefix("file://"))
    if user or not folder.is_absolute() or not folder.exists() or not (owner := folder.stat()).st_uid:
        return UPLOAD_PACK
    return AS_OWNER.format(uid=owner.st_uid, gid=owner.st_gid)


def _home(user: str | None) -> str:
    return pwd.getpwnam(user).pw_dir if user else str(Path.home())


def _give(path: Path, user: str | None) -> None:
    if user:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def _secrets(source: str) -> tuple[str, ...]:
    """Return the password in `source`; for a web URL without one, the user name, which may be a token."""
    try:
        parts = urlsplit(source)
    except ValueError:
        return ()
    secret = parts.password or (parts.username if parts.scheme in ("http", "https") else None)
    return (secret,) if secret else ()


def _shown(source: str) -> str:
    for secret in _secrets(source):
        source = source.replace(secret, "*****")
    return source


def _check_arguments(source: str, branch: str, commitid: str) -> None:
    if not source or source.startswith("-") or not source.isprintable():
        raise ApplianceError(f"{_shown(source)!r} is not a git source", "set git.source to a URL or an absolute path")
    for name, value in (("branch", branch), ("commitid", commitid)):
        if value.startswith("-") or not value.isprintable() or re.search(r"[\s~^:?*\[\\]|\.\.|@\{", value):
            raise ApplianceError(f"{value!r} is not a valid git {name}", f"correct git.{name} in the environment")


def _prepare(git: _Git) -> None:
    folder, fresh = git.folder, _fresh(git)
    _remove_locks(git)
    if folder.is_dir() and not (folder / ".git").exists() and (fresh / ".git").is_dir():
        # `_replace_repository` was killed between its last two steps.
        (fresh / ".git").rename(folder / ".git")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / ".git").is_dir():
        raise RefusedError(
            f"{folder} is in the way: it contains files, but is not a git checkout", f"move {folder} away"
        )
    if not folder.is_dir():
        folder.mkdir(parents=True)
        _give(folder, git.user)
    # Changes nothing in an existing repository and completes an unfinished one.
    git("init", "--quiet", "--initial-branch=appliance")


def _remove_locks(git: _Git) -> None:
    """Remove git's locks: the caller holds the appliance's lock, so only a killed process can have left them."""
    repository = git.folder / ".git"
    if repository.is_symlink():
        raise RefusedError(f"{repository} is a link, not a repository", f"move {git.folder} away")
    if repository.is_dir():
        # As the user, and find follows no links. If a lock cannot be removed, git reports it.
        command = ["find", str(repository), "-name", "*.lock", "-delete"]
        git.runner.run(command, timeout=LOCAL_SECONDS, user=git.user, cwd=Path("/"), ok=(0, 1))


def _fetch_all(git: _Git) -> None:
    deepen = ("--unshallow",) if (git.folder / ".git" / "shallow").exists() else ()
    options = ("--quiet", "--prune", "--tags", "--force", "--update-shallow", *deepen)
    try:
        git("fetch", *options, REMOTE, timeout=FETCH_SECONDS)
    except CommandError:
        if not deepen:
            raise
        # --unshallow fails if the source itself is shallow.
        git("fetch", *options[: -len(deepen)], REMOTE, timeout=FETCH_SECONDS)


def _is_sound(git: _Git) -> bool:
    """Return whether fsck found nothing; its exit code is a bit mask of what it found."""
    return git("fsck", "--connectivity-only", "--no-dangling", ok=range(256)).returncode == 0


def _fresh(git: _Git) -> Path:
    """Return the folder in which a damaged repository is recreated."""
    return git.folder.with_name(f".{git.folder.name}.fresh")


def _replace_repository(git: _Git) -> None:
    """Fetch into a new repository next to a damaged one, and replace that only once this has succeeded."""
    beside = _fresh(git)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    _give(beside, git.user)
    fresh = replace(git, folder=beside)
    try:
        fresh("init", "--quiet", "--initial-branch=appliance")
        _fetch_all(fresh)
        shutil.rmtree(git.folder / ".git")
        (beside / ".git").rename(git.folder / ".git")
    except ProcessError as error:
        raise _unreachable(git.source, error) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unreachable(source: str, error: ProcessError) -> ApplianceError:
    lines = [line for line in error.output.splitlines() if line.strip()]
    reason = lines[0] if lines else error.message
    return ApplianceError(
        f"cannot fetch from {_shown(source)}: {reason}", "check git.source in the environment, and the network"
    )


def _target(git: _Git, branch: str, commitid: str) -> Commit:
    if commitid:
        return Commit(_pinned(git, commitid))
    branch = branch or _default_branch(git)
    found = _resolve(git, f"refs/remotes/origin/{branch}")
    if found is None:
        raise ApplianceError(
            f"{_shown(git.source)} has no branch {branch}", f"set git.branch to one of: {_branches(git)}"
        )
    return Commit(found, branch)


def _default_branch(git: _Git) -> str:
    answer = git("ls-remote", "--symref", REMOTE, "HEAD", timeout=FETCH_SECONDS).stdout
    named = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", answer, re.MULTILINE)
    if named is None:
        raise ApplianceError(f"{_shown(git.source)} has no default branch", "set git.branch in the environment")
    return named[1]


def _pinned(git: _Git, commitid: str) -> str:
    found = _resolve(git, commitid)
    if found is None and FULL_ID.fullmatch(commitid):
        # The source may still serve, by id, a commit that is in no branch any more.
        git("fetch", "--quiet", "--update-shallow", REMOTE, commitid, timeout=FETCH_SECONDS, ok=(0, 1, 128))
        found = _resolve(git, commitid)
    if found is None:
        raise ApplianceError(
            f"{_shown(git.source)} has no commit {commitid}",
            "correct git.commitid in the environment, or remove it to follow the branch",
        )
    return found


def _branches(git: _Git) -> str:
    names = git("for-each-ref", "--format=%(refname:lstrip=3)", "--count=10", "refs/remotes/origin").lines()
    return ", ".join(names) or "none, it is empty"


def _resolve(git: _Git, revision: str) -> str | None:
    found = git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", ok=(0, 1, 128))
    return found.stdout.strip() if found.returncode == 0 else None


def _checked_id(commit: str) -> str:
    if not FULL_ID.fullmatch(commit):
        raise ValueError(f"{commit!r} is not a full commit id")
    return commit
