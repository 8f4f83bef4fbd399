"""Tags (what ran last) and flags (what is requested), each a small file that is written atomically."""

from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.files import read_optional, write_atomic

# Tag with the time when everything was last up to date.
LAST_UPDATE = "last_update"


@dataclass(frozen=True)
class MarkerFolder:
    """A folder of one-line files: `MarkerFolder(paths.tags)` or `MarkerFolder(paths.flags)`."""

    folder: Path

    def get(self, name: str) -> str | None:
        """Return the value of `name`, None if it is not set."""
        text = read_optional(self.folder / name)
        return None if text is None else text.strip()

    def set(self, name: str, value: str = "") -> None:
        """Set `name` to `value`."""
        write_atomic(self.folder / name, f"{value}\n", mode=0o644)

    def clear(self, name: str) -> None:
        """Remove `name` if it is set."""
        (self.folder / name).unlink(missing_ok=True)
