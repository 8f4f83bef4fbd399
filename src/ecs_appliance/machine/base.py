"""The base image: a minimal Debian 13 server, made from Debian's signed packages and kept for a week."""

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import fresh_name
from ecs_appliance.core.locks import locked
from ecs_appliance.core.runner import Runner

log = logging.getLogger(__name__)

SUITE = "trixie"
SOURCES = (
    "deb http://deb.debian.org/debian trixie main",
    "deb http://deb.debian.org/debian trixie-updates main",
    "deb http://deb.debian.org/debian-security trixie-security main",
)
# What a server has that somebody can log in to; all else is the appliance's own work. No systemd-resolved: it listens
# on every address.
PACKAGES = (
    "ca-certificates",
    "dbus",
    "git",
    "iproute2",
    "libpam-systemd",
    "netbase",
    "openssh-server",
    "procps",
    "python3",
    "systemd-sysv",
)
HOOKS = (
    'systemctl --root="$1" enable systemd-networkd.service',
    # Each machine makes its own: see nspawn.
    ': >"$1/etc/machine-id"; rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/hostname" "$1/etc/resolv.conf"',
    # Downloads stay in the archive folder, which outlives the machine.
    'printf \'APT::Keep-Downloaded-Packages "true";\\nBinary::apt::APT::Keep-Downloaded-Packages "true";\\n\''
    ' >"$1/etc/apt/apt.conf.d/01keep-downloads"',
)
FRESH_SECONDS = 7 * 24 * 3600.0
BUILD_SECONDS = 900.0


def provide_base(cache: Path, runner: Runner) -> Path:
    """A base image not older than a week, as a tar file in `cache`; an older one where a new one cannot be made.

    Raises CommandError where there is none at all and none can be made.
    """
    target = cache / f"{SUITE}-{_recipe_key()}.tar"
    with locked(cache / "lock", "making the base image", wait=BUILD_SECONDS):
        if _fresh(target):
            return target
        try:
            _build(target, runner)
        except ApplianceError as error:
            if not target.exists():
                raise
            log.warning("the base image could not be renewed, an older one is used: %s", error.message)
        _remove_others(target)
    return target


def plan_bootstrap(target: Path) -> list[str | Path]:
    """The command that makes the base image `target`."""
    hooks = [f"--customize-hook={hook}" for hook in HOOKS]
    include = f"--include={','.join(PACKAGES)}"
    options = ["--quiet", "--format=tar", "--variant=apt", include, *hooks]
    # mmdebstrap makes all mounts private; without a namespace of its own, those of this host.
    return ["unshare", "--mount", "mmdebstrap", *options, SUITE, target, *SOURCES]


def _build(target: Path, runner: Runner) -> None:
    for abandoned in target.parent.glob(f".{SUITE}-*"):
        abandoned.unlink()
    with fresh_name(target) as temporary:
        runner.run(plan_bootstrap(temporary), timeout=BUILD_SECONDS)
        temporary.replace(target)


def _fresh(target: Path) -> bool:
    return target.exists() and time.time() - target.stat().st_mtime < FRESH_SECONDS


def _recipe_key() -> str:
    recipe: Sequence[object] = (SUITE, SOURCES, PACKAGES, HOOKS)
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]


def _remove_others(target: Path) -> None:
    for other in target.parent.glob(f"{SUITE}-*.tar"):
        if other != target:
            other.unlink()
