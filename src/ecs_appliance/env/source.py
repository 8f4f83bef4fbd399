"""What a source of environments is, and those that are files of this machine."""

import errno
import os
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError

# A byte more than the check takes: enough for it to refuse what is too large.
MOST_BYTES = 1024 * 1024 + 1


class SourceError(ApplianceError):
    """A source is there, but what it has cannot be got."""


class NoEnvironmentError(InvalidEnvError):
    """There is none: not found in any source, or not activated yet."""


class Kind(StrEnum):
    """How an environment reached the machine."""

    FILE = "file"
    DRIVE = "drive"
    NETWORK = "network"


@dataclass(frozen=True)
class Found:
    """The content of an environment, not checked yet, and where it came from: for people, and of which kind."""

    data: bytes
    origin: str
    kind: Kind = Kind.FILE


class Source(Protocol):
    """One place where an environment may be."""

    def detect(self) -> bool:
        """Whether this place exists here, as far as can be said fast."""
        ...

    def get(self) -> Found | None:
        """What is there; None where there is no environment in it. Raises SourceError where it is broken."""
        ...


@dataclass(frozen=True)
class FileSource:
    """A file of this machine."""

    path: Path

    def detect(self) -> bool:
        """A symlink that leads nowhere exists too: it is broken."""
        return self.path.is_symlink() or self.path.exists()

    def get(self) -> Found:
        return Found(read_limited(self.path), str(self.path))


@dataclass(frozen=True)
class CloudInitSource:
    """The copy that cloud-init keeps of the user-data it found; an empty one is none."""

    path: Path

    def detect(self) -> bool:
        return self.path.is_file()

    def get(self) -> Found | None:
        return user_data(read_limited(self.path), f"cloud-init ({self.path})", Kind.NETWORK)


def read_limited(path: Path) -> bytes:
    """The content of `path`, at most as much as is needed to see that it is too large. Raises SourceError."""
    data = read_present(path, str(path))
    if data is None:
        raise SourceError(f"cannot read {path}: {os.strerror(errno.ENOENT)}")
    return data


def read_present(path: Path, name: str) -> bytes | None:
    """`read_limited` of what people know by `name`; None where there is no such file. Raises SourceError."""
    try:
        with path.open("rb") as handle:
            return handle.read(MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(f"cannot read {name}: {error.strerror}") from None


def user_data(data: bytes, origin: str, kind: Kind) -> Found | None:
    """What `data`, as cloud-init knows user-data, holds: unpacked; None where it is empty. Raises SourceError.

    Who has none for a machine gives it an empty one, for cloud-init wants a file.
    """
    content = unpacked(data, origin)
    return Found(content, origin, kind) if content.strip() else None


def unpacked(data: bytes, origin: str) -> bytes:
    """User-data may be gzipped, as cloud-init has it; what it unpacks to is limited too. Raises SourceError."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        content = decompressor.decompress(data, MOST_BYTES)
    except zlib.error:
        raise SourceError(f"{origin}: the gzipped user-data is damaged") from None
    # zlib says nothing of one that breaks off, and half an environment may look like a whole one.
    if not decompressor.eof and len(content) < MOST_BYTES:
        raise SourceError(f"{origin}: the gzipped user-data is cut off")
    return content
