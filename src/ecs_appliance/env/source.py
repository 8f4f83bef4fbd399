"""The interface of an environment source, and sources that are local files."""

import errno
import os
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError

# One byte more than env.check accepts, so that it rejects what is too large.
MOST_BYTES = 1024 * 1024 + 1


class SourceError(ApplianceError):
    """A source exists but cannot be read."""


class NoEnvironmentError(InvalidEnvError):
    """There is no environment: no source has one, or none has been activated."""


class SourceKind(StrEnum):
    """How an environment reached the machine."""

    FILE = "file"
    DRIVE = "drive"
    NETWORK = "network"


@dataclass(frozen=True)
class FoundEnv:
    """The unchecked content of an environment, and where it came from: `origin` is for people, `kind` for programs."""

    data: bytes
    origin: str
    kind: SourceKind = SourceKind.FILE


class EnvSource(Protocol):
    """A place that may have an environment."""

    def detect(self) -> bool:
        """Return whether this source exists on this machine, as far as can be determined quickly."""
        ...

    def get(self) -> FoundEnv | None:
        """Return the environment, None if it has none. Raise SourceError if the source cannot be read."""
        ...


@dataclass(frozen=True)
class FileSource:
    """A local file."""

    path: Path

    def detect(self) -> bool:
        """Return whether the file exists. A dangling symlink does, and `get` fails."""
        return self.path.is_symlink() or self.path.exists()

    def get(self) -> FoundEnv:
        return FoundEnv(read_limited(self.path), str(self.path))


@dataclass(frozen=True)
class CloudInitSource:
    """The copy that cloud-init keeps of the user-data it found."""

    path: Path

    def detect(self) -> bool:
        return self.path.is_file()

    def get(self) -> FoundEnv | None:
        return user_data(read_limited(self.path), f"cloud-init ({self.path})", SourceKind.NETWORK)


def read_limited(path: Path) -> bytes:
    """Return at most MOST_BYTES of `path`. Raise SourceError, also if it does not exist."""
    data = read_present(path, str(path))
    if data is None:
        raise SourceError(f"cannot read {path}: {os.strerror(errno.ENOENT)}")
    return data


def read_present(path: Path, name: str) -> bytes | None:
    """Return at most MOST_BYTES of `path`, None if it does not exist. Raise SourceError that calls it `name`."""
    try:
        with path.open("rb") as handle:
            return handle.read(MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(f"cannot read {name}: {error.strerror}") from None


def user_data(data: bytes, origin: str, kind: SourceKind) -> FoundEnv | None:
    """Return the environment in the cloud-init user-data `data`, unpacked; None if it is empty. Raise SourceError.

    Empty user-data means that there is none, as cloud-init requires the file to exist.
    """
    content = unpacked(data, origin)
    return FoundEnv(content, origin, kind) if content.strip() else None


def unpacked(data: bytes, origin: str) -> bytes:
    """Return `data`; if it is gzipped, as cloud-init allows, at most MOST_BYTES of its content. Raise SourceError."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        content = decompressor.decompress(data, MOST_BYTES)
    except zlib.error:
        raise SourceError(f"{origin}: the gzipped user-data is damaged") from None
    # zlib does not report a truncated stream, and half an environment may look complete.
    if not decompressor.eof and len(content) < MOST_BYTES:
        raise SourceError(f"{origin}: the gzipped user-data is cut off")
    return content
