"""The application's source and its user manual, as the build needs them: side by side, then one in the other."""

import logging
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import git
from ecs_appliance.host.git import Commit

log = logging.getLogger(__name__)

MANUAL = "user-manual-de"
HELP = "static/help"
COPY_SECONDS = 300


@dataclass(frozen=True)
class Origin:
    """Where a checkout comes from; `commitid` pins it. An empty `source` means there is none."""

    source: str
    branch: str = "master"
    commitid: str = ""


@dataclass(frozen=True)
class Sources:
    """The commits of the application and of its manual (None where it has none)."""

    app: Commit
    docs: Commit | None


def fetch_sources(runner: Runner, paths: Paths, app: Origin, docs: Origin, *, user: str | None) -> Sources:
    """Fetch both and return their target commits; the checkouts stay as they are.

    Raises ApplianceError where the application cannot be had. A manual that cannot be had is logged, and the one
    fetched before is used, if there is one: nobody waits with an update for the manual.
    """
    return Sources(_fetch(runner, paths.source, app, user), _fetch_docs(runner, paths.docs_source, docs, user))


def checkout_sources(runner: Runner, paths: Paths, sources: Sources, *, user: str | None) -> None:
    """Set the fetched checkouts to `sources`, with the manual in the application's static/help."""
    git.checkout(runner, paths.source, sources.app.id, user=user)
    if sources.docs is not None:
        git.checkout(runner, paths.docs_source, sources.docs.id, user=user)
        _copy_manual(runner, paths.docs_source / MANUAL, paths.source / HELP, user)


def migrations_added(
    runner: Runner, paths: Paths, last: str | None, target: str, *, user: str | None = None
) -> list[str] | None:
    """Files under a `migrations` folder that `target` has and `last` has not; None where that cannot be said."""
    if last is None:
        return None
    return git.files_added(runner, paths.source, last, target, "**/migrations/**", user=user)


def _fetch(runner: Runner, folder: Path, origin: Origin, user: str | None) -> Commit:
    return git.fetch(runner, folder, source=origin.source, branch=origin.branch, commitid=origin.commitid, user=user)


def _fetch_docs(runner: Runner, folder: Path, origin: Origin, user: str | None) -> Commit | None:
    if not origin.source:
        return None
    try:
        return _fetch(runner, folder, origin, user)
    except ApplianceError as error:
        log.warning("the user manual stays as it is: %s", error.message)
        last = git.head(runner, folder, user=user)
        return Commit(last) if last else None


def _copy_manual(runner: Runner, manual: Path, target: Path, user: str | None) -> None:
    """As `user`, so that a symlink in either repository leads to nothing that only root may touch."""
    if not manual.is_dir():
        log.warning("the documentation has no %s: the site goes without a user manual", manual.name)
        return
    source, copy = str(manual), str(target)
    for command in (
        ("rm", "-rf", "--", copy),
        ("mkdir", "-p", "--", str(target.parent)),
        ("cp", "--recursive", "--no-dereference", "--", source, copy),
    ):
        runner.run(command, timeout=COPY_SECONDS, user=user)
