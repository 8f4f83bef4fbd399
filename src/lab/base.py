"""The base image: a minimal Debian 13 server, built from Debian's signed packages and kept for a week."""

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import fresh_name
from ecs_appliance.core.locks import locked
from ecs_appliance.core.runner import Runner

# Below the product's logger, which the command line configures.
log = logging.getLogger("ecs_appliance.lab")

SUITE = "trixie"
SOURCES = (
    "deb http://deb.debian.org/debian trixie main",
    "deb http://deb.debian.org/debian trixie-updates main",
    "deb http://deb.debian.org/debian-security trixie-security main",
)
# What a server needs before anyone can log in; the appliance installs everything else. No systemd-resolved: it listens
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
    # Each machine gets its own: see nspawn and provision.
    ': >"$1/etc/machine-id"; rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/hostname" "$1/etc/resolv.conf"',
    # Downloads stay in the archive folder, which outlives the machine.
    'printf \'APT::Keep-Downloaded-Packages "true";\\nBinary::apt::APT::Keep-Downloaded-Packages "true";\\n\''
    ' >"$1/etc/apt/apt.conf.d/01keep-downloads"',
)
FRESH_SECONDS = 7 * 24 * 3600.0
BUILD_SECONDS = 900.0
UNPACK_SECONDS = 300.0


@dataclass(frozen=True)
class Recipe:
    """The contents of a base image: packages, and commands that mmdebstrap runs at the end, with the root as `$1`."""

    packages: tuple[str, ...] = PACKAGES
    hooks: tuple[str, ...] = HOOKS

    @property
    def key(self) -> str:
        """Return a digest that differs for different images."""
        recipe: Sequence[object] = (SUITE, SOURCES, self.packages, self.hooks)
        return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]


SERVER = Recipe()


def provide_base(cache: Path, runner: Runner, recipe: Recipe = SERVER) -> Path:
    """Return a base image (tar file in `cache`) not older than a week, or an older one if no new one can be built.

    `cache` holds images of one recipe only; others in it are removed.
    Raise ApplianceError if there is none and none can be built.
    """
    target = cache / f"{SUITE}-{recipe.key}.tar"
    with locked(cache / "lock", "building the base image", wait=BUILD_SECONDS):
        if _fresh(target):
            return target
        try:
            _build(target, recipe, runner)
        except ApplianceError as error:
            if not target.exists():
                raise
            log.warning("the base image could not be renewed, so an older one is used: %s", error.message)
        _remove_others(target)
    return target


def plan_bootstrap(target: Path, recipe: Recipe = SERVER) -> list[str | Path]:
    """Return the command that builds the base image `target`."""
    hooks = [f"--customize-hook={hook}" for hook in recipe.hooks]
    include = f"--include={','.join(recipe.packages)}"
    options = ["--quiet", "--format=tar", "--variant=apt", include, *hooks]
    # mmdebstrap makes all mounts private, which without a namespace of its own would affect this host's.
    return ["unshare", "--mount", "mmdebstrap", *options, SUITE, target, *SOURCES]


def unpack_base(base: Path, folder: Path, runner: Runner) -> None:
    """Unpack the base image `base` into the new folder `folder`."""
    folder.mkdir(mode=0o755)
    options = ["--extract", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    runner.run(["tar", *options, "-C", folder, "-f", base], timeout=UNPACK_SECONDS)


def copy_tree(source: Path, target: Path, runner: Runner) -> None:
    """Copy `source` to `target` with owners, links and extended attributes; overwrite what was copied before."""
    runner.run(["cp", "--archive", "--reflink=auto", "--no-target-directory", source, target], timeout=UNPACK_SECONDS)


def _build(target: Path, recipe: Recipe, runner: Runner) -> None:
    for abandoned in target.parent.glob(f".{SUITE}-*"):
        abandoned.unlink()
    with fresh_name(target) as temporary:
        runner.run(plan_bootstrap(temporary, recipe), timeout=BUILD_SECONDS)
        temporary.replace(target)


def _fresh(target: Path) -> bool:
    return target.exists() and time.time() - target.stat().st_mtime < FRESH_SECONDS


def _remove_others(target: Path) -> None:
    for other in target.parent.glob(f"{SUITE}-*.tar"):
        if other != target:
            other.unlink()
