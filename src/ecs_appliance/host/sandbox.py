"""Programs on what others wrote: on an account that owns nothing, without network, with limits.

Where systemd runs it makes an account for that one run; elsewhere (tests below a temporary root, laptops) name spaces
and the account nobody stand in for it, which needs root.
"""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import Runner

BOOTED = Path("/run/systemd/system")
# Of what it may fill, in bytes: memory, a file.
MEMORY = 1024**3
LARGEST_FILE = 32 * 1024**2
PROPERTIES = (
    "DynamicUser=yes",
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    "PrivateNetwork=yes",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    # "none" cannot be said here; the sockets of others are out of sight.
    "RestrictAddressFamilies=AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "InaccessiblePaths=-/app -/data -/volatile",
    "TemporaryFileSystem=/run:mode=1777,size=64m",
    "WorkingDirectory=/run",
    "UMask=0077",
    f"MemoryMax={MEMORY}",
    "TasksMax=32",
    "LimitCORE=0",
    f"LimitFSIZE={LARGEST_FILE}",
)
# A place of its own in memory, then nobody at all.
NAMESPACES = ("unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--")
PLACE = 'mount -t tmpfs -o size=64m,mode=1777 sandbox /tmp; cd /tmp; umask 077; exec "$@"'
LIMITS = ("prlimit", "--core=0", f"--fsize={LARGEST_FILE}", f"--as={MEMORY}", "--")
NOBODY = (
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--no-new-privs",
    "--bounding-set=-all",
    "--inh-caps=-all",
)


def run(
    runner: Runner, script: str, files: Mapping[str, bytes], *, results: Sequence[str], timeout: float
) -> dict[str, bytes]:
    """What the shell `script` leaves in its folder under the names `results`; `files` (name → content) lie there.

    Raises CommandError where it fails, DeadlineError past `timeout` seconds, ApplianceError for a result that is no
    regular file of a sensible size.
    """
    steps = f"tar -xf -\n{{\n{script}\n}} >&2\ntar -cf - {' '.join(results)}"
    done = runner.run([*_confined(timeout), "/bin/sh", "-euc", steps], timeout=timeout, input=_pack(files))
    return _unpack(done.raw, results)


def _confined(timeout: float) -> list[str]:
    """The words before a command that confine it."""
    if BOOTED.is_dir():
        properties = [f"--property={each}" for each in (*PROPERTIES, f"RuntimeMaxSec={timeout:g}")]
        return ["systemd-run", "--pipe", "--wait", "--collect", "--quiet", *properties, "--"]
    return [*NAMESPACES, "/bin/sh", "-euc", PLACE, "sh", *LIMITS, "setpriv", *NOBODY, "--"]


def _pack(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o600
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _unpack(packed: bytes, names: Sequence[str]) -> dict[str, bytes]:
    """By name, nothing is written: whoever wrote it may be the attacker by now."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
            for name in names:
                content = archive.extractfile(name) if archive.getmember(name).isreg() else None
                if content is None:
                    raise ApplianceError(f"{name} of the sandbox is no file", "report this")
                found[name] = content.read(LARGEST_FILE)
    except (tarfile.TarError, KeyError) as error:
        raise ApplianceError(f"the sandbox's results cannot be read: {error}", "report this") from None
    return found
