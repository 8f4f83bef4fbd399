"""The Debian image that ours stand on, made of Debian's signed packages: a tag of a registry proves no origin."""

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
# Older ones are made anew, but only where something is built on them anyway: a start never waits for that.
FRESH = timedelta(days=7)
SOURCES = (
    "deb http://deb.debian.org/debian {suite} main",
    "deb http://deb.debian.org/debian {suite}-updates main",
    "deb http://deb.debian.org/debian-security {suite}-security main",
)
# A machine in a closed network has its own mirror: what serves the machine serves its images.
HOST_SOURCES = "/etc/apt/sources.list.d/debian.sources"
# As in Debian's own slim images: neither documentation nor translations …
SLIM = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*/LC_MESSAGES/*.mo",
)
# … and no service is started while packages install.
POLICY = ("./usr/sbin/policy-rc.d", b"#!/bin/sh\nexit 101\n")


def ensure_base(
    runner: Runner, paths: Paths, *, suite: str = "trixie", proxy: str | None = None, refresh: bool = False
) -> str:
    """Have `debian:SUITE-slim` and return its id. With `refresh` one older than a week is replaced, where that works.

    `proxy` is the HTTP proxy to download through. Raises CommandError where there is no such image and none can be had.
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
        log.warning("%s stays as of %s: %s", reference, present.created[:10], error.message)
    return docker.image_id(runner, reference) or ""


def is_stale(created: str, now: datetime) -> bool:
    """Whether an image `created` then (RFC 3339) is older than a week."""
    return now - datetime.fromisoformat(created) > FRESH


def _obtain(runner: Runner, paths: Paths, reference: str, suite: str, proxy: str | None) -> None:
    log.info("making %s of Debian's packages", reference)
    with tempfile.TemporaryDirectory(prefix="appliance-base.", dir=paths.at("/var/tmp")) as folder:  # noqa: S108
        archive = Path(folder) / "base.tar"
        _bootstrap(runner, archive, suite, _sources(paths, suite), proxy)
        _add_policy(archive)
        docker.import_tar(runner, archive, reference, labels=_labels(suite))


def _sources(paths: Paths, suite: str) -> list[str]:
    """Arguments of mmdebstrap: the machine's own file where it is of the same suite, else Debian's mirrors."""
    own = paths.at(HOST_SOURCES)
    if own.is_file() and f"{suite}-security" in own.read_text():
        return [str(own)]
    return [line.format(suite=suite) for line in SOURCES]


def _bootstrap(runner: Runner, archive: Path, suite: str, sources: list[str], proxy: str | None) -> None:
    options = ["--variant=minbase", *(f"--dpkgopt={line}" for line in SLIM)]
    # As a variable: given as an option it would stay in the image.
    environment = {"http_proxy": proxy} if proxy else {}
    # In a namespace of its own: it makes all mounts private, and services started later would keep docker's for good.
    command = ["unshare", "--mount", "mmdebstrap", *options, suite, str(archive), *sources]
    runner.run(command, timeout=BOOTSTRAP_SECONDS, env=environment)


def _add_policy(archive: Path) -> None:
    """mmdebstrap has a policy of its own and removes it at the end, so ours is appended to what it made."""
    name, content = POLICY
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = 0o755, len(content)
    with tarfile.open(archive, "a:") as tar:
        tar.addfile(entry, io.BytesIO(content))


def _labels(suite: str) -> Mapping[str, str]:
    return {"org.opencontainers.image.title": f"debian {suite}", VENDOR: OURS}
