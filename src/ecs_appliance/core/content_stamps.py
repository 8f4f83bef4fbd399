"""Records which commands have succeeded for the current contents of the files they depend on.

Salt's own mechanism runs such commands only in the run that changed the file. If that run is killed or fails, they are
never run.
"""

import hashlib
from pathlib import Path

from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.paths import Paths


def contents_digest(patterns: list[str], root: Path = Path("/")) -> str:
    """Return the SHA-256 of names and contents of the files below `root` that match `patterns` (absolute globs)."""
    digest = hashlib.sha256()
    found = {file for pattern in patterns for file in root.glob(pattern.lstrip("/")) if file.is_file()}
    for file in sorted(found):
        digest.update(f"{file}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_applied(paths: Paths, name: str, digest: str) -> bool:
    """Return whether the last success recorded for the commands `name` was for contents with this digest."""
    return read_optional(_stamp(paths, name)) == digest


def mark_applied(paths: Paths, name: str, digest: str) -> None:
    """Record that the commands `name` succeeded for contents with this digest."""
    write_atomic(_stamp(paths, name), digest, mode=0o644)


def _stamp(paths: Paths, name: str) -> Path:
    return paths.at("/var/lib/ecs-appliance/applied") / name.replace("/", "_").replace(" ", "-")
