"""Build the Debian base image from Debian's signed packages, since a registry's tag does not prove its origin."""

import io
import logging
import tarfile
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import ProcessError, Runner
from ecs_appliance.host import docker

log = logging.getLogger(__name__)

VENDOR = "org.opencontainers.image.vendor"
OURS = "ecs-appliance"
BOOTSTRAP_SECONDS = 1800
# An older one is rebuilt, but only if something is built on it anyway, so that a start never waits for it.
FRESH = timedelta(days=7)
SOURCES = (
    "deb http://deb.debian.org/debian {suite} main",
    "deb http://deb.debian.org/debian {suite}-updates main",
    "deb http://deb.debian.org/debian-security {suite}-security main",
)
# A machine in a closed network has its own mirror, which its images use too.
HOST_SOURCES = "/etc/apt/sources.list.d/debian.sources"
# As in Debian's own slim images: no documentation or translations …
SLIM = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*/LC_MESSAGES/*.mo",
)
# … and no services started when packages are installed.
POLICY = ("./usr/sbin/policy-rc.d", b"#!/bin/sh\nexit 101\n")


def ensure_base(
    runner: Runner, paths: Paths, *, suite: str = "trixie", proxy: str | None = None, refresh: bool = False
) -> str:
    """Build `debian:SUITE-slim` if missing and return its id. With `refresh`, try to replace one older than a week.

    `proxy` is the HTTP proxy for downloads. Raise ProcessError if there is no image and it cannot be built.
    """
    reference = f"debian:{suite}-slim"
    present = docker.inspect_image(runner, reference)
    if present is not None and present.labels.get(VENDOR) != OURS:
        # Pulled, by an earlier release of the appliance or by hand.
        present = None
    if present is not None and not (refresh and is_stale(present.created, datetime.now(UTC))):
        return present.id
    try:
        _obtain(runner, paths, reference, suite, proxy)
    except ProcessError as error:
        if present is None:
            raise
        log.warning(
            "%s could not be rebuilt, so the one from %s is used: %s", reference, present.created[:10], error.message
        )
    return docker.image_id(runner, reference) or ""


def is_stale(created: str, now: datetime) -> bool:
    """Return whether an image `created` at that time (RFC 3339) is older than a week."""
    return now - datetime.fromisoformat(created) > FRESH


def _obtain(runner: Runner, paths: Paths, reference: str, suite: str, proxy: str | None) -> None:
    log.info("building %s from Debian packages", reference)
    with tempfile.TemporaryDirectory(prefix="appliance-base.", dir=paths.at("/var/tmp")) as folder:  # noqa: S108
        archive = Path(folder) / "base.tar"
        _bootstrap(runner, archive, suite, _sources(paths, suite), proxy)
        _add_policy(archive)
        docker.import_tar(runner, archive, reference, labels=_labels(suite))


def _sources(paths: Paths, suite: str) -> list[str]:
    """Return mmdebstrap's sources: the machine's own file if it is for the same suite, else Debian's mirrors."""
    own = paths.at(HOST_SOURCES)
    if own.is_file() and f"{suite}-security" in own.read_text():
        return [str(own)]
    return [line.format(suite=suite) for line in SOURCES]


def _bootstrap(runner: Runner, archive: Path, suite: str, sources: list[str], proxy: str | None) -> None:
    options = ["--variant=minbase", *(f"--dpkgopt={line}" for line in SLIM)]
    # As a variable, since an option would stay in the image.
    environment = {"http_proxy": proxy} if proxy else {}
    # In its own namespace: mmdebstrap makes all mounts private, and services started later would keep docker's forever.
    command = ["unshare", "--mount", "mmdebstrap", *options, suite, str(archive), *sources]
    runner.run(command, timeout=BOOTSTRAP_SECONDS, env=environment)


def _add_policy(archive: Path) -> None:
    """Append our policy-rc.d to the archive: mmdebstrap uses its own and removes it at the end."""
    name, content = POLICY
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = 0o755, len(content)
    with tarfile.open(archive, "a:") as tar:
        tar.addfile(entry, io.BytesIO(content))


def _labels(suite: str) -> Mapping[str, str]:
    return {"org.opencontainers.image.title": f"debian {suite}", VENDOR: OURS}
