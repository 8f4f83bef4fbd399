"""apt: update package lists, install packages and security updates, while excluding Debian's own daily timers."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ecs_appliance.core.locks import locked
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Runner

log = logging.getLogger(__name__)

SECONDS = 3600
# Debian's timers hold it while they run. apt waits for dpkg's lock (DPkg::Lock::Timeout), but not for that of the
# lists, and unattended-upgrade waits for neither.
DAILY_LOCK = "/var/lib/apt/daily_lock"


def update_lists(paths: Paths, runner: Runner) -> None:
    """Update the package lists. Raise CommandError, or BusyError if the timers hold their lock for an hour."""
    with _turn(paths):
        _update_lists(runner)


def install_security_updates(paths: Paths, runner: Runner) -> None:
    """Update the lists and install what unattended-upgrades is configured for. Raise as `update_lists` does."""
    with _turn(paths):
        _update_lists(runner)
        runner.run(["unattended-upgrade"], timeout=SECONDS, on_line=log.debug)


def provide(paths: Paths, runner: Runner, commands: Sequence[str]) -> None:
    """Install the missing ones of `commands`, each from the package of the same name.

    Raise as `update_lists` does.
    """
    missing = [command for command in commands if shutil.which(command) is None]
    if not missing:
        return
    log.info("installing %s", ", ".join(missing))
    with _turn(paths):
        _update_lists(runner)
        install = ["apt-get", "install", "--yes", "-qq", "--no-install-recommends", *missing]
        runner.run(install, timeout=SECONDS, env={"DEBIAN_FRONTEND": "noninteractive"})


@contextmanager
def _turn(paths: Paths) -> Iterator[None]:
    with locked(paths.at(DAILY_LOCK), "update Debian packages", wait=SECONDS):
        yield


def _update_lists(runner: Runner) -> None:
    runner.run(["apt-get", "update", "-qq"], timeout=SECONDS)
