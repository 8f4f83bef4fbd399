"""Run a program on untrusted files: under an account that owns nothing, without network, with resource limits.

systemd creates an account for each run. Where systemd does not run (tests in a temporary root, laptops), namespaces and
the account nobody are used instead, which needs root.
"""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import Runner

BOOTED = Path("/run/systemd/system")
# Limits in bytes.
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
    # systemd-run cannot pass "none"; the sockets of other processes are not visible.
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
# Its own tmpfs first, then drop all privileges.
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
    """Run the shell `script` in a folder with `files` (name → content), and return the files `results` from there.

    Raise CommandError if it fails, DeadlineError after `timeout` seconds, ApplianceError if a result is missing or no
    regular file.
    """
    steps = f"tar -xf -\n{{\n{script}\n}} >&2\ntar -cf - {' '.join(results)}"
    done = runner.run([*_confined(timeout), "/bin/sh", "-euc", steps], timeout=timeout, input=_pack(files))
    return _unpack(done.raw, results)


def _confined(timeout: float) -> list[str]:
    """Return the command prefix that confines a command."""
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
    """Read the files `names` from the tar without writing anything: an attacker may have produced it."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
            for name in names:
                content = archive.extractfile(name) if archive.getmember(name).isreg() else None
                if content is None:
                    raise ApplianceError(f"{name} in the sandbox is not a file", "report this as a bug")
                found[name] = content.read(LARGEST_FILE)
    except (tarfile.TarError, KeyError) as error:
        raise ApplianceError(f"the sandbox's results cannot be read: {error}", "report this as a bug") from None
    return found
