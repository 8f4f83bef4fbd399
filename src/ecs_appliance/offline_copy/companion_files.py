"""Read the optional files next to env.yml; an unreadable one is an error, never treated as missing."""

from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.env.decoding import read


def has_companion(file: Path, name: str) -> bool:
    """Return whether `name` exists in the folder of `file`, even as a dangling link. Raise ApplianceError."""
    path = file.parent / name
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ApplianceError(f"cannot read {path}: {error.strerror}") from None
    return True


def read_companion(file: Path, name: str) -> bytes | None:
    """Return the content of `name` in the folder of `file`, None if it does not exist. Raise ApplianceError."""
    return read(file.parent / name) if has_companion(file, name) else None
