"""Fetch the application's source and user manual as two checkouts, and combine them into one archive for a build."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import CommandError, Runner
from ecs_appliance.host import git
from ecs_appliance.host.code_signatures import require_trust
from ecs_appliance.host.git import Commit
from ecs_appliance.host.quarantine import SCRATCH, Quarantine, quarantine

log = logging.getLogger(__name__)

MANUAL = "user-manual-de"
HELP = "static/help"
# Used instead of a branch if env.yml names a commit.
PINNED = "pinned"


@dataclass(frozen=True)
class Origin:
    """Where a checkout comes from; `commitid` pins it. An empty `source` means there is none.

    With `signers`, the commit must be signed by one of them and be a descendant of one of `after` (if any).
    """

    source: str
    branch: str = "master"
    commitid: str = ""
    signers: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """The commits of the application and of its manual (None if there is none)."""

    app: Commit
    docs: Commit | None


def fetch_sources(runner: Runner, paths: Paths, app: Origin, docs: Origin, *, user: str | None) -> Sources:
    """Fetch both and return their target commits, without changing the checkouts.

    Raise ApplianceError if the application cannot be fetched, DistrustedError if it is not trusted. For the manual, log
    such a failure and use the checked-out commit, if there is one and it is trusted, so that the manual never blocks
    an update.
    """
    return Sources(_fetch(runner, paths.source, app, user), _fetch_docs(runner, paths.docs_source, docs, user))


def checkout_sources(runner: Runner, paths: Paths, sources: Sources, *, user: str | None) -> None:
    """Check out `sources`, for people to read; builds do not use the checkouts."""
    git.checkout(runner, paths.source, sources.app.id, user=user)
    if sources.docs is not None:
        git.checkout(runner, paths.docs_source, sources.docs.id, user=user)


@contextmanager
def archived(runner: Runner, paths: Paths, sources: Sources, *, user: str | None) -> Iterator[IO[bytes]]:
    """Provide a tar for the build: exactly the commit, with the manual in static/help and a minimal `.git`.

    The `.git` is needed because ECS's build gets its version from git, and its entry point does not start without one.
    Git runs as `user` in the checkouts. Uncommitted files and forged objects there do not get into the tar.
    Raise ApplianceError if an object does not match its commit id.
    """
    with tempfile.TemporaryFile(dir=SCRATCH) as file:
        with quarantine(runner) as held:
            held.take(paths.source, sources.app.id, user=user)
            grafted = {}
            if sources.docs is not None:
                held.take(paths.docs_source, sources.docs.id, user=user)
                grafted[HELP] = f"{sources.docs.id}:{MANUAL}"
            if grafted and not held.has(grafted[HELP]):
                log.warning("the documentation has no %s, so the site has no user manual", MANUAL)
                grafted.clear()
            known = [each for each in held.parents(sources.app.id) if _took(held, paths.source, each, user)]
            repository = held.plan_repository(sources.app.id, sources.app.branch or PINNED, known)
            held.archive(held.tree(sources.app.id, grafted=grafted), file, repository)
        file.seek(0)
        yield file


def _took(held: Quarantine, repository: Path, commit: str, user: str | None) -> bool:
    """Take `commit` without its files into quarantine; return False if it is missing, as in a shallow source."""
    try:
        held.take(repository, commit, user=user, files=False)
    except (CommandError, RefusedError):
        return False
    return True


def migrations_added(
    runner: Runner, paths: Paths, last: str | None, target: str, *, user: str | None = None
) -> list[str] | None:
    """Return the files under `migrations` folders that `target` has and `last` has not; None if unknown."""
    if last is None:
        return None
    return git.files_added(runner, paths.source, last, target, "**/migrations/**", user=user)


def _fetch(runner: Runner, folder: Path, origin: Origin, user: str | None) -> Commit:
    target = git.fetch(
        runner,
        folder,
        source=origin.source,
        branch=origin.branch,
        commitid=origin.commitid,
        user=user,
        plain=True,
    )
    require_trust(runner, folder, target.id, origin.signers, after=origin.after, user=user)
    return target


def _fetch_docs(runner: Runner, folder: Path, origin: Origin, user: str | None) -> Commit | None:
    if not origin.source:
        return None
    try:
        return _fetch(runner, folder, origin, user)
    except ApplianceError as error:
        log.warning("the user manual was not updated: %s", error.message)
        return _last_docs(runner, folder, origin, user)


def _last_docs(runner: Runner, folder: Path, origin: Origin, user: str | None) -> Commit | None:
    last = git.head(runner, folder, user=user)
    if last is None:
        return None
    try:
        require_trust(runner, folder, last, origin.signers, user=user)
    except ApplianceError as error:
        log.warning("the site has no user manual: %s", error.message)
        return None
    return Commit(last)
