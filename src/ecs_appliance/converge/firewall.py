"""Loads the firewall: our rules with the operator's included; the last rules the kernel accepted stay active."""

import grp
import hashlib
import pwd
import re
from pathlib import Path

from ecs_appliance.core.content_stamps import is_applied, mark_applied
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import ProcessError, Runner
from ecs_appliance.host import nftables

OURS = "/etc/nftables/appliance.nft"
OPERATORS = "/etc/nftables/appliance.d"
# The statement in `OURS` that is replaced by the operator's rules.
INCLUDE = f'include "{OPERATORS}/*.nft"'
# What appliance-firewall.service loads at boot.
LOADED = "/var/lib/ecs-appliance/firewall.nft"
APPLIED = "firewall"
ACCOUNT = re.compile(r'meta sk(uid|gid) "([a-z0-9-]+)"')
# No account has this id; the kernel reserves the one above it for "no id".
NOBODYS = 2**32 - 2


def firewall_is_current(paths: Paths, runner: Runner) -> bool:
    """Return whether the rules in the files are active and were not changed by hand since."""
    rules = _assemble(paths, _operators_files(paths))
    is_stored = read_optional(paths.at(LOADED)) == rules
    return is_stored and is_applied(paths, APPLIED, _digest(rules, nftables.listing(runner)))


def load_firewall(paths: Paths, runner: Runner) -> None:
    """Load the rules and keep them for the next boot.

    Raises ApplianceError that names the operator's file at fault; then the previous rules stay active, or, if there
    were none, ours alone are loaded.
    """
    files = _operators_files(paths)
    try:
        for file in files:
            _check(paths, runner, file)
        _load(paths, runner, _assemble(paths, files))
    except ApplianceError:
        if not paths.at(LOADED).exists():
            _load(paths, runner, _assemble(paths, []))
        raise


def _check(paths: Paths, runner: Runner, file: Path) -> None:
    try:
        nftables.check(runner, _ours(paths).replace(INCLUDE, f'include "{file}"'))
    except ProcessError as error:
        raise ApplianceError(
            f"{file} cannot be loaded, the previous rules stay active:\n{error.output or error.message}",
            "correct it, then: systemctl reload appliance-firewall",
        ) from None


def _load(paths: Paths, runner: Runner, rules: str) -> None:
    nftables.load(runner, rules)
    write_atomic(paths.at(LOADED), rules, mode=0o600)
    mark_applied(paths, APPLIED, _digest(rules, nftables.listing(runner)))


def _assemble(paths: Paths, files: list[Path]) -> str:
    return _ours(paths).replace(INCLUDE, "".join(f"# {file}\n{_read(file)}\n" for file in files))


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace").rstrip()
    except OSError as error:
        raise ApplianceError(f"{file} cannot be read: {error.strerror}", "fix or remove it") from None


def _ours(paths: Paths) -> str:
    """Return our rules with ids for account names: a removed account must not prevent loading at the next boot."""
    return ACCOUNT.sub(lambda found: f"meta sk{found[1]} {_number(found[1], found[2])}", paths.at(OURS).read_text())


def _number(kind: str, name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid if kind == "uid" else grp.getgrnam(name).gr_gid
    except KeyError:
        return NOBODYS


def _operators_files(paths: Paths) -> list[Path]:
    return sorted(paths.at(OPERATORS).glob("*.nft"))


def _digest(rules: str, listing: str) -> str:
    return hashlib.sha256(f"{rules}\0{listing}".encode()).hexdigest()
