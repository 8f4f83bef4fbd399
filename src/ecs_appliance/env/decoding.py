"""Reads an env.yml and decodes it to text."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.env.diagnostics import Diagnostic
from ecs_appliance.env.tree import Mark, TreeError

LARGEST = 1024 * 1024
FIRST_LINE = "#cloud-config"


def read(path: Path) -> bytes:
    """Return the content of the regular file `path`. Raise ApplianceError, also if it is larger than `LARGEST`."""
    data = read_start(path)
    if len(data) > LARGEST:
        raise ApplianceError(f"{path} is larger than {LARGEST // 1024} KiB", "is it the right file?")
    return data


def read_start(path: Path) -> bytes:
    """Return at most `LARGEST` + 1 bytes of `path`, for callers that report a too large file themselves."""
    try:
        # Opening a pipe would block until it has a writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as handle:
            if stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                return handle.read(LARGEST + 1)
    except OSError as error:
        raise ApplianceError(f"cannot read {path}: {error.strerror}") from None
    raise ApplianceError(
        f"cannot read {path}: it is not a regular file", "to read from a pipe, write its output to a file first"
    )


def decode(data: bytes) -> str:
    """Return `data` as text. Raise TreeError if it is too large, or is not UTF-8 text."""
    if len(data) > LARGEST:
        raise _refused(Mark(), f"larger than {LARGEST // 1024} KiB: this is not an env.yml")
    zero = data.find(b"\0")
    if zero >= 0:
        raise _refused(_place(data, zero), "contains a zero byte: this is not a text file")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _refused(_place(data, error.start), "is not UTF-8") from None


def _refused(mark: Mark, message: str) -> TreeError:
    return TreeError((Diagnostic(mark.line, mark.column, "", "error", message),))


def _place(data: bytes, offset: int) -> Mark:
    before = data[:offset].rpartition(b"\n")
    return Mark(before[0].count(b"\n") + bool(before[1]) + 1, len(before[2].decode(errors="replace")) + 1)


def first_line(text: str) -> Iterator[Diagnostic]:
    """Yield the problem with the first line of `text`, if there is one."""
    first = text.partition("\n")[0]
    if first == FIRST_LINE:
        return
    message = f"the first line must be exactly {FIRST_LINE}"
    if first.rstrip("\r") == FIRST_LINE:
        message += ": this file has Windows line endings"
    elif first.startswith("\ufeff"):
        message += ": this file begins with a byte order mark"
    yield Diagnostic(1, 1, "", "error", message)
