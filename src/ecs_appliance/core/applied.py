"""Commands that follow a change of files: run until they succeeded once on the contents that lie there now.

Salt's own way, to run them in the same run that changed the file, forgets them when that run is killed or fails.
"""

import hashlib
from pathlib import Path

from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.paths import Paths


def contents_digest(patterns: list[str], root: Path = Path("/")) -> str:
    """SHA-256 over names and contents of the files below `root` that match `patterns` (absolute, `*` and `**`)."""
    digest = hashlib.sha256()
    found = {file for pattern in patterns for file in root.glob(pattern.lstrip("/")) if file.is_file()}
    for file in sorted(found):
        digest.update(f"{file}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_applied(paths: Paths, name: str, digest: str) -> bool:
    """Whether the commands `name` succeeded on contents with this digest last."""
    return read_optional(_stamp(paths, name)) == digest


def mark_applied(paths: Paths, name: str, digest: str) -> None:
    """The commands `name` succeeded on contents with this digest."""
    write_atomic(_stamp(paths, name), digest, mode=0o644)


def _stamp(paths: Paths, name: str) -> Path:
    return paths.at("/var/lib/ecs-appliance/applied") / name.replace("/", "_").replace(" ", "-")
