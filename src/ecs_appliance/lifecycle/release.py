"""The appliance's own code: releases by commit, side by side, each with its own environment; one symlink is active."""

import logging
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.files import point_symlink, sync_folder
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import git
from ecs_appliance.host.signatures import require_trust

log = logging.getLogger(__name__)

BUILD_TIMEOUT = 900
KEPT_RELEASES = 3


@dataclass(frozen=True)
class Release:
    """A complete copy of the appliance at `commit`."""

    commit: str
    folder: Path

    @property
    def command(self) -> Path:
        return self.folder / "appliance"


def add_release(
    paths: Paths,
    runner: Runner,
    *,
    source: str,
    branch: str,
    commitid: str = "",
    signers: tuple[str, ...] = (),
    after: Collection[str] = (),
) -> Release:
    """Fetch the appliance at `commitid`, or at the end of `branch`, and build its environment; activates nothing.

    Raises ApplianceError where the source, the branch or the pinned commit is not to be had, or its code does not run;
    DistrustedError, before any of its code runs, where none of `signers` signed it or it goes on from none of `after`.
    """
    fetched = paths.releases / "source"
    target = git.fetch(runner, fetched, source=source, branch=branch, commitid=commitid)
    require_trust(runner, fetched, target.id, signers, after=after)
    release = Release(target.id, paths.releases / target.id)
    if not release.folder.is_dir():
        incoming = paths.releases / f".{target.id}.incoming"
        git.fetch(runner, incoming, source=source, branch=branch, commitid=target.id)
        git.checkout(runner, incoming, target.id)
        os.sync()
        incoming.rename(release.folder)
        sync_folder(paths.releases)
    runner.run([release.command, "--version"], timeout=BUILD_TIMEOUT)
    return release


def active_release(paths: Paths) -> Release | None:
    """The release that /app/appliance points at."""
    if not paths.appliance.is_symlink():
        return None
    folder = paths.appliance.resolve()
    return Release(folder.name, folder)


def activate_release(paths: Paths, release: Release) -> bool:
    """Let /app/appliance point at `release`; a clone that lies there is kept beside it. Returns whether it changed."""
    place = paths.appliance
    if place.is_dir() and not place.is_symlink():
        kept = place.with_name("appliance.clone")
        if kept.exists():
            shutil.rmtree(kept)
        place.rename(kept)
        log.info("your clone is kept as %s", kept)
    return point_symlink(place, release.folder)


def prune_releases(paths: Paths, keep: tuple[str, ...]) -> list[str]:
    """Remove all but the newest releases and those in `keep`; returns the commits removed."""
    folders = [entry for entry in paths.releases.iterdir() if entry.is_dir() and (entry / "appliance").is_file()]
    newest = sorted(folders, key=lambda entry: entry.stat().st_mtime, reverse=True)
    gone = [entry for entry in newest[KEPT_RELEASES:] if entry.name not in keep]
    for entry in gone:
        shutil.rmtree(entry)
    return [entry.name for entry in gone]
