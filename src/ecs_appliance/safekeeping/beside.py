"""What people put beside env.yml for its package: there, or not there, and never passed over."""

from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.env.document import read


def lies_beside(file: Path, name: str) -> bool:
    """Whether anything is called `name` in the folder of `file`, if only a link to nothing. Raises ApplianceError."""
    path = file.parent / name
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ApplianceError(f"cannot read {path}: {error.strerror}") from None
    return True


def read_beside(file: Path, name: str) -> bytes | None:
    """The content of `name` in the folder of `file`, None where there is no such thing. Raises ApplianceError."""
    return read(file.parent / name) if lies_beside(file, name) else None
