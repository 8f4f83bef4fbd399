"""Files that are either the old or the new ones, never half of one."""

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
    """Replace `path` by `data` in one step that survives a power cut; makes missing parent folders.

    `owner` is (uid, gid); without it the file belongs to the caller. Raises OSError, and then `path` is untouched.
    Where `path` was there, or the filesystem has no files without names, a kill at the wrong moment leaves a hidden
    file beside it; the next write to `path` that comes a minute later removes that.
    """
    write_together({path: data}, mode=mode, owner=owner)


def write_together(
    files: Mapping[Path, str | bytes], *, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """`write_atomic` for all of `files` (path → data): before the first is replaced, all are on the disk.

    Raises OSError that names the file; where there is no room, or a folder is in the way, all of them are untouched.
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
    """Write `data` to `path` in one step, where nothing is; makes missing parent folders.

    Raises FileExistsError where something is, also if it came a moment ago, or another OSError.
    """
    with _prepare(path, data, mode, None) as ready, _naming(path):
        ready.add()
    sync_folder(path.parent)


@dataclass(frozen=True)
class _Ready:
    """A whole file on the disk that is to be `path`: without a name, or with that of `temporary`."""

    path: Path
    descriptor: int
    temporary: Path | None

    def add(self) -> None:
        """Make it `path`. Raises FileExistsError where something is there."""
        if self.temporary is None:
            self._link(self.path)
            return
        try:
            os.link(self.temporary, self.path)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            # FAT has no links. What is replaced is the empty file that only one of us can make.
            os.close(_create(self.path))
            self.temporary.replace(self.path)

    def replace(self) -> None:
        """Make it `path`, whatever is there."""
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
        # With a descriptor of a folder, if only to ignore it, Python follows the link in /proc to the file.
        os.link(f"/proc/self/fd/{self.descriptor}", name, src_dir_fd=self.descriptor)


@contextmanager
def _prepare(path: Path, data: str | bytes, mode: int, owner: tuple[int, int] | None) -> Iterator[_Ready]:
    """`data` in a new file, that nobody else can read before it has its `mode`; gone again where it was not used."""
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
    """What goes wrong within names `path`, not a file that nobody knows."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _create(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)


def _claim(path: Path, make: Callable[[Path], Made]) -> tuple[Path, Made]:
    """A hidden name beside `path` that was free until `make` took it, and what that returned."""
    while True:
        name = path.with_name(f".{path.name}.{secrets.token_hex(RANDOM_BYTES)}")
        with suppress(FileExistsError):
            return name, make(name)


def _remove_leftovers(path: Path) -> None:
    """Remove what a killed run left under a name of `_claim`. One that still runs would, at worst, fail."""
    pattern = re.compile(re.escape(f".{path.name}.") + f"[0-9a-f]{{{2 * RANDOM_BYTES}}}")
    # Whoever may write in a folder need not be able to read it.
    with suppress(OSError), os.scandir(path.parent) as entries:
        for name in [path.with_name(entry.name) for entry in entries if pattern.fullmatch(entry.name)]:
            state = name.lstat()
            # Not the time of the content, which the tools that copy files set back.
            is_old = state.st_ctime < time.time() - LEFTOVER_SECONDS
            if is_old and stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid():
                name.unlink()


def _open_unnamed(folder: Path) -> int | None:
    """A new file in `folder` without a name; None where the system or the filesystem has no such thing."""
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL) and folder.is_dir():
            return None
        raise


def write_changed(path: Path, data: str | bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> bool:
    """`write_atomic` only where the content differs; returns whether it wrote."""
    content = data.encode() if isinstance(data, str) else data
    if path.is_file() and path.read_bytes() == content and path.stat().st_mode & 0o7777 == mode:
        return False
    write_atomic(path, content, mode=mode, owner=owner)
    return True


def point_symlink(link: Path, target: Path | str) -> bool:
    """Make `link` a symlink to `target` in one step; returns whether it changed.

    Raises FileExistsError where a real folder is in the way.
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
    """The text of `path`, or None where there is no such file. What is not UTF-8 in it becomes U+FFFD."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None


def read_untrusted(path: Path, limit: int) -> bytes:
    """The content of the regular file `path`, in a folder that others may write; at most `limit` bytes.

    Never waits, and follows no link at `path` itself. Raises OSError for anything else, FileNotFoundError for nothing.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as handle:
            content = handle.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"longer than {limit} bytes", str(path))
    return content


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def fresh_name(path: Path) -> Iterator[Path]:
    """A free name beside `path` for building what will be renamed to it; removed again where it still lies there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def private_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new folder in `parent` that only its owner enters, gone afterwards; so are those of `name` that a kill left."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{name}-*-*"):
        if not Path("/proc", left.name.split("-")[-2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=f"{name}-{os.getpid()}-", dir=parent) as folder:
        yield Path(folder)
