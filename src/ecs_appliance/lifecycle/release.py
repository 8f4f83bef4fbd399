"""Releases of the appliance: by commit, side by side, each with its own Python environment; a symlink selects one."""

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
from ecs_appliance.host.code_signatures import require_trust

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
    """Fetch the appliance at `commitid`, or at the head of `branch`, and build its environment; activate nothing.

    Raises ApplianceError if the source, branch or pinned commit is unavailable, or its code does not run;
    DistrustedError, before any of its code runs, if none of `signers` signed it or it descends from none of `after`.
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
    """Return the release that /app/appliance points at, None if that is not a symlink."""
    if not paths.appliance.is_symlink():
        return None
    folder = paths.appliance.resolve()
    return Release(folder.name, folder)


def activate_release(paths: Paths, release: Release) -> bool:
    """Point /app/appliance at `release`; a clone in its place is kept next to it. Return whether it changed."""
    place = paths.appliance
    if place.is_dir() and not place.is_symlink():
        kept = place.with_name("appliance.clone")
        if kept.exists():
            shutil.rmtree(kept)
        place.rename(kept)
        log.info("your clone is kept as %s", kept)
    return point_symlink(place, release.folder)


def prune_releases(paths: Paths, keep: tuple[str, ...]) -> list[str]:
    """Remove all but the newest releases and those in `keep`; return the commits removed."""
    folders = [entry for entry in paths.releases.iterdir() if entry.is_dir() and (entry / "appliance").is_file()]
    newest = sorted(folders, key=lambda entry: entry.stat().st_mtime, reverse=True)
    gone = [entry for entry in newest[KEPT_RELEASES:] if entry.name not in keep]
    for entry in gone:
        shutil.rmtree(entry)
    return [entry.name for entry in gone]
