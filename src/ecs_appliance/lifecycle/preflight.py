"""Check that a machine meets the requirements before the appliance is installed on it."""

import os
import pwd
import shutil
import socket
from dataclasses import dataclass

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.facts import read_facts
from ecs_appliance.core.paths import Paths

# What a machine with 3 GB reports, in MiB: the kernel reserves the rest.
MEMORY_MB = 2800
FREE_BYTES = 10 * 1000**3
PORTS = (80, 443)
APP_UID = 1000


@dataclass(frozen=True)
class HostFacts:
    """What preflight inspects. `port_conflicts` are those of our ports that another server listens on."""

    distribution: str
    root: bool
    memory_mb: int
    free_bytes: int
    port_conflicts: tuple[str, ...]
    uid_owner: str | None
    systemd: bool


@dataclass(frozen=True)
class Blocker:
    """One reason not to install here; --force overrules a `soft` one."""

    message: str
    soft: bool = False


def inspect(paths: Paths) -> HostFacts:
    """Collect what preflight needs to know; change nothing."""
    return HostFacts(
        distribution=_distribution(paths),
        root=os.geteuid() == 0,
        memory_mb=read_facts(paths).memory_mb,
        free_bytes=shutil.disk_usage(paths.root).free,
        port_conflicts=tuple(_port_conflicts(paths)),
        uid_owner=_account(APP_UID),
        systemd=(paths.root / "run/systemd/system").is_dir(),
    )


def find_blockers(machine: HostFacts) -> list[Blocker]:
    """Return all blockers to an installation."""
    found = [Blocker(f"port already used by another server: {port}") for port in machine.port_conflicts]
    if machine.distribution != "debian 13":
        found.append(Blocker(f"Debian 13 is needed, this is {machine.distribution}"))
    if not machine.root:
        found.append(Blocker("root is needed: run it with sudo"))
    if not machine.systemd:
        found.append(Blocker("systemd is needed as the machine's init"))
    if machine.memory_mb < MEMORY_MB:
        found.append(Blocker(f"3 GB of memory are needed, there are {machine.memory_mb} MB", soft=True))
    if machine.free_bytes < FREE_BYTES:
        found.append(Blocker(f"10 GB of free disk are needed, there are {machine.free_bytes / 1e9:.1f} GB", soft=True))
    if machine.uid_owner not in (None, "app"):
        found.append(Blocker(f"user id {APP_UID} is needed for the account app, but is used by {machine.uid_owner}"))
    return found


def check_machine(machine: HostFacts, *, force: bool) -> None:
    """Raise RefusedError with all blockers; `force` overrides the soft ones."""
    blockers = [blocker for blocker in find_blockers(machine) if not (force and blocker.soft)]
    if not blockers:
        return
    lines = [f"  - {blocker.message}{' (--force overrides)' if blocker.soft else ''}" for blocker in blockers]
    raise RefusedError("this machine cannot become an appliance:\n" + "\n".join(lines), "nothing was changed")


def _distribution(paths: Paths) -> str:
    fields = dict(line.split("=", 1) for line in paths.at("/etc/os-release").read_text().splitlines() if "=" in line)
    return f"{fields.get('ID', '?')} {fields.get('VERSION_ID', '?')}".replace('"', "")


def _port_conflicts(paths: Paths) -> list[str]:
    """Return those of our ports that are in use; none after an earlier installation, as nginx uses them then."""
    if paths.at("/etc/nginx/appliance/appliance.conf").exists():
        return []
    return [str(port) for port in PORTS if _is_taken(port)]


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 # closed again at once
        except PermissionError:
            return False
        except OSError:
            return True
    return False


def _account(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
