"""Atomic, durable writes, and safe reads of untrusted files."""

import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

Made = TypeVar("Made")

RANDOM_BYTES = 8
LEFTOVER_SECONDS = 60


def write_atomic(path: Path, data: str | bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Replace `path` with `data` atomically and durably; create missing parent folders.

    `owner` is (uid, gid), by default the caller's. Raise OSError and leave `path` unchanged on failure. If `path`
    existed, or the filesystem has no O_TMPFILE, being killed at the wrong moment leaves a hidden file next to it. A
    write to `path` at least LEFTOVER_SECONDS later removes that file.
    """
    write_together({path: data}, mode=mode, owner=owner)


def write_together(
    files: Mapping[Path, str | bytes], *, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """Replace all of `files` (path → data) as `write_atomic` does; all are on disk before the first is replaced.

    Raise OSError naming the file. If the disk is full or a path is a folder, no file is changed.
    """
    with ExitStack() as stack:
        prepared = [stack.enter_context(_prepare(path, data, mode, owner)) for path, data in files.items()]
        for path in files:
            if path.is_dir() and not path.is_symlink():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        for ready in prepared:
            with _naming(ready.path):
                ready.replace()
    for folder in {path.parent for path in files}:
        sync_folder(folder)


def write_new(path: Path, data: str | bytes, *, mode: int = 0o600) -> None:
    """Create `path` with `data` atomically; create missing parent folders.

    Raise FileExistsError if `path` exists, even if it was created concurrently, or another OSError.
    """
    with _prepare(path, data, mode, None) as ready, _naming(path):
        ready.add()
    sync_folder(path.parent)


@dataclass(frozen=True)
class _Ready:
    """A file completely on disk that is to become `path`; unnamed (O_TMPFILE) if `temporary` is None."""

    path: Path
    descriptor: int
    temporary: Path | None

    def add(self) -> None:
        """Give the file the name `path`. Raise FileExistsError if that exists."""
        if self.temporary is None:
            self._link(self.path)
            return
        try:
            os.link(self.temporary, self.path)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            # FAT has no hard links. O_EXCL lets only one process create the empty file that is then replaced.
            os.close(_create(self.path))
            self.temporary.replace(self.path)

    def replace(self) -> None:
        """Give the file the name `path`, replacing an existing file."""
        _remove_leftovers(self.path)
        if self.temporary is not None:
            self.temporary.replace(self.path)
            return
        with suppress(FileExistsError):
            self._link(self.path)
            return
        named = _claim(self.path, self._link)[0]
        try:
            named.replace(self.path)
        except BaseException:
            named.unlink(missing_ok=True)
            raise

    def _link(self, name: Path) -> None:
        # With src_dir_fd, though the kernel ignores it for an absolute path, Python follows the symlink in /proc.
        os.link(f"/proc/self/fd/{self.descriptor}", name, src_dir_fd=self.descriptor)


@contextmanager
def _prepare(path: Path, data: str | bytes, mode: int, owner: tuple[int, int] | None) -> Iterator[_Ready]:
    """Write `data` to a new file, unreadable to others until it has its `mode`; remove it if it was not used."""
    with ExitStack() as stack:
        with _naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            unnamed = _open_unnamed(path.parent)
            temporary, descriptor = (None, unnamed) if unnamed is not None else _claim(path, _create)
            if temporary is not None:
                stack.callback(temporary.unlink, missing_ok=True)
            stack.callback(os.close, descriptor)
            with os.fdopen(descriptor, "wb", closefd=False) as handle:
                handle.write(data.encode() if isinstance(data, str) else data)
            os.fchmod(descriptor, mode)
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fsync(descriptor)
        yield _Ready(path, descriptor, temporary)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Make an OSError raised in the block name `path`, not a temporary file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _create(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)


def _claim(path: Path, make: Callable[[Path], Made]) -> tuple[Path, Made]:
    """Have `make` create a file with an unused hidden name next to `path`; return the name and the result of `make`."""
    while True:
        name = path.with_name(f".{path.name}.{secrets.token_hex(RANDOM_BYTES)}")
        with suppress(FileExistsError):
            return name, make(name)


def _remove_leftovers(path: Path) -> None:
    """Remove files that killed processes left under names of `_claim`. A process still running would at worst fail."""
    pattern = re.compile(re.escape(f".{path.name}.") + f"[0-9a-f]{{{2 * RANDOM_BYTES}}}")
    # A folder may be writable without being readable.
    with suppress(OSError), os.scandir(path.parent) as entries:
        for name in [path.with_name(entry.name) for entry in entries if pattern.fullmatch(entry.name)]:
            state = name.lstat()
            # ctime, because copying tools set mtime back.
            is_old = state.st_ctime < time.time() - LEFTOVER_SECONDS
            if is_old and stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid():
                name.unlink()


def _open_unnamed(folder: Path) -> int | None:
    """Create an unnamed file in `folder` and return its descriptor; None if O_TMPFILE is not supported there."""
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL) and folder.is_dir():
            return None
        raise


def write_changed(path: Path, data: str | bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> bool:
    """Call `write_atomic` only if content or mode differ; return whether it was written."""
    content = data.encode() if isinstance(data, str) else data
    if path.is_file() and path.read_bytes() == content and path.stat().st_mode & 0o7777 == mode:
        return False
    write_atomic(path, content, mode=mode, owner=owner)
    return True


def point_symlink(link: Path, target: Path | str) -> bool:
    """Make `link` a symlink to `target` atomically; return whether it changed.

    Raise FileExistsError if `link` is a folder.
    """
    if link.is_symlink() and str(link.readlink()) == str(target):
        return False
    if link.is_dir() and not link.is_symlink():
        raise FileExistsError(f"{link} is a folder, not a symlink")
    link.parent.mkdir(parents=True, exist_ok=True)
    with fresh_name(link) as temporary:
        temporary.symlink_to(target)
        temporary.replace(link)
    sync_folder(link.parent)
    return True


def read_optional(path: Path) -> str | None:
    """Return the text of `path`, None if there is no such file. Invalid UTF-8 becomes U+FFFD."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None


def read_untrusted(path: Path, limit: int) -> bytes:
    """Return the content of the regular file `path` in a folder that others may write to.

    Never blocks, and does not follow a symlink at `path` itself. Raise FileNotFoundError if `path` does not exist,
    OSError if it is not a regular file or longer than `limit` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as handle:
            content = handle.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"longer than {limit} bytes", str(path))
    return content


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable (fsync)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def fresh_name(path: Path) -> Iterator[Path]:
    """Yield an unused name next to `path`, for a file to be renamed to `path`; remove the file if it is still there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def private_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield a temporary folder (0700) in `parent`; also remove those that killed processes left under `name`."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{name}-*-*"):
        if not Path("/proc", left.name.split("-")[-2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=f"{name}-{os.getpid()}-", dir=parent) as folder:
        yield Path(folder)
