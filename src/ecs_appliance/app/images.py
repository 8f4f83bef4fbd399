"""Build missing images of a site, tagged by commit (the application) or by a digest of their inputs (our own)."""

import hashlib
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ecs_appliance.app.base import ensure_base
from ecs_appliance.app.source import PINNED, Sources, archived
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import ProcessError, Runner
from ecs_appliance.core.transcript import transcript
from ecs_appliance.host import docker
from ecs_appliance.host.docker import Build

log = logging.getLogger(__name__)

APP = "ecs/ecs"
OWN = ("redis", "memcached")
REPOSITORIES = (APP, *(f"ecs/{name}" for name in OWN))
DOCS_LABEL = "org.ecs-appliance.docs"
# Build cache to keep for later builds.
LAYERS_BYTES = 4_000_000_000


class BuildError(ApplianceError):
    """An image could not be built; the running site is not affected."""


@dataclass(frozen=True)
class Images:
    """Tags of a site's images, and which of them have just been built."""

    app: str
    own: Mapping[str, str]
    built: tuple[str, ...] = field(default=())


def app_tag(commit: str) -> str:
    """Return the tag of the application's image of `commit`."""
    return f"{APP}:{commit}"


def own_tag(folder: Path, base: str) -> str:
    """Return the tag of the image built from `folder` on the base image with id `base`, by a digest of both."""
    digest = hashlib.sha256(base.encode())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"\0{file.relative_to(folder)}\0{file.stat().st_mode & 0o111:o}\0".encode())
        digest.update(file.read_bytes())
    return f"ecs/{folder.name}:{digest.hexdigest()[:16]}"


def plan_app_build(
    sources: Sources, *, labels: Mapping[str, str] | None, proxy: str | None, force: bool = False
) -> Build | None:
    """Return how to build the application, or None if its image is up to date.

    `labels` are those of the existing image with its tag, None if there is none.
    """
    docs = sources.docs.id if sources.docs else ""
    if labels is not None and labels.get(DOCS_LABEL, "") == docs and not force:
        return None
    args = {"GIT_REV": sources.app.id, "GIT_BRANCH": sources.app.branch or PINNED, **_proxy_args(proxy)}
    return Build(None, (app_tag(sources.app.id),), args, {DOCS_LABEL: docs})


def plan_own_builds(folders: Collection[Path], base: str, present: Collection[str], proxy: str | None) -> list[Build]:
    """Return how to build those of our own images whose tag is not in `present`."""
    wanted = {own_tag(folder, base): folder for folder in folders}
    return [Build(folder, (name,), _proxy_args(proxy)) for name, folder in wanted.items() if name not in present]


def ensure_images(
    runner: Runner,
    paths: Paths,
    sources: Sources,
    *,
    containers: Path,
    user: str | None = None,
    proxy: str | None = None,
    force: bool = False,
    on_line: Callable[[str], None] = log.info,
) -> Images:
    """Build the missing images for `sources`; our own from the folders redis and memcached of `containers`.

    `ecs/ecs:latest` keeps naming the running image until `activate_images`. `force` rebuilds the application.
    Git runs as `user` in the application's repositories.
    Raise BuildError with the last lines of the build.
    """
    tag = app_tag(sources.app.id)
    present = docker.inspect_image(runner, tag)
    labels = present.labels if present else None
    app = plan_app_build(sources, labels=labels, proxy=proxy, force=force)
    try:
        base = ensure_base(runner, paths, proxy=proxy, refresh=app is not None)
    except ProcessError as error:
        raise BuildError(
            f"the base image could not be built: {error.message}", "check the network, then try again"
        ) from None
    folders = [containers / name for name in OWN]
    known = {name for folder in folders for name in docker.list_tags(runner, f"ecs/{folder.name}")}
    builds = plan_own_builds(folders, base, known, proxy)
    for build in builds:
        _build(runner, paths, build, on_line)
    if app is not None:
        with archived(runner, paths, sources, user=user) as archive:
            _build(runner, paths, app, on_line, archive)
    own = {folder.name: own_tag(folder, base) for folder in folders}
    for name, reference in own.items():
        docker.tag(runner, reference, f"ecs/{name}:latest")
    return Images(tag, own, tuple(build.tags[0] for build in [*builds, *([app] if app else [])]))


def activate_images(runner: Runner, images: Images) -> None:
    """Tag the application's image as `ecs/ecs:latest`."""
    docker.tag(runner, images.app, f"{APP}:latest")


def prune_images(runner: Runner, keep: Collection[str]) -> list[str]:
    """Remove our images except those tagged `latest` or in `keep`, limit the build cache; return the removed tags."""
    latest = {f"{repository}:latest" for repository in REPOSITORIES}
    same = {tag for name in latest if (image := docker.inspect_image(runner, name)) for tag in image.tags}
    removed = docker.prune(runner, REPOSITORIES, {*keep, *latest, *same})
    docker.bound_layers(runner, LAYERS_BYTES)
    return removed


def _build(
    runner: Runner, paths: Paths, build: Build, on_line: Callable[[str], None], archive: IO[bytes] | None = None
) -> None:
    log.info("building %s", build.tags[0])
    file = paths.logs / "build.log"
    try:
        with transcript(file, on_line) as keep:
            docker.build(runner, build, keep, archive=archive)
    except ProcessError as error:
        # No start follows, and so no cleanup, but the build is retried every day.
        docker.bound_layers(runner, LAYERS_BYTES)
        raise BuildError(
            f"{build.tags[0]} could not be built: {error.message}",
            f"the full output is in {file}; fix the source, or allow what the build must reach (appliance network "
            "refused)",
        ) from None


def _proxy_args(proxy: str | None) -> dict[str, str]:
    return {"http_proxy": proxy} if proxy else {}
