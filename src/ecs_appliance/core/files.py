"""Files that are either the old or the new ones, never half of one."""

import errno
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomic(path: Path, data: str | bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Replace `path` by `data` in one step that survives a power cut; makes missing parent folders.

    `owner` is (uid, gid); without it the file belongs to the caller. Raises OSError, and then `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _new_file(path) as (descriptor, publish):
        with os.fdopen(descriptor, "wb", closefd=False) as handle:
            handle.write(data.encode() if isinstance(data, str) else data)
        os.fchmod(descriptor, mode)
        if owner is not None:
            os.fchown(descriptor, *owner)
        os.fsync(descriptor)
        publish()
    sync_folder(path.parent)


@contextmanager
def _new_file(path: Path) -> Iterator[tuple[int, Callable[[], None]]]:
    """A new file that nobody else can read, and what makes it `path`.

    It has no name before that where the system can do so: killed in the midst, nothing is left of it.
    """
    descriptor = _open_unnamed(path.parent)
    if descriptor is None:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
    else:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")

    def publish() -> None:
        if not temporary.exists():
            # With a descriptor of a folder, if only to ignore it, Python follows the link in /proc to the file.
            os.link(f"/proc/self/fd/{descriptor}", temporary, src_dir_fd=descriptor)
        temporary.replace(path)

    try:
        yield descriptor, publish
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


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
    """The text of `path`, or None where there is no such file."""
    try:
        return path.read_text()
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
