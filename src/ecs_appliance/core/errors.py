"""The one exception tree, and what an exit code means."""

import errno
from enum import IntEnum

from ecs_appliance.core.text import summarize


class ExitCode(IntEnum):
    """Exit codes of every command; documented in docs/manual.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INVALID_ENV = 3
    REFUSED = 4
    BUSY = 5
    NOT_RUNNING = 6
    TIMEOUT = 7
    GAVE_UP = 8


class ApplianceError(Exception):
    """A failure that an operator can act on.

    `message` says what is wrong and where, `hint` the next step. A class with `latches` must not be retried blindly:
    the unit that meets it leaves /run/appliance-failed behind, and no unit starts until that file is removed. One that
    is `alerted` stands among the alerts already.
    """

    exit_code: ExitCode = ExitCode.FAILED
    latches: bool = False
    alerted: bool = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def summary(self) -> str:
        """One line: what failed, and why."""
        return summarize(self.message)


class RefusedError(ApplianceError):
    """A precondition does not hold; nothing was touched."""

    exit_code = ExitCode.REFUSED


class InvalidEnvError(ApplianceError):
    """The environment cannot be used as it is."""

    exit_code = ExitCode.INVALID_ENV


class BusyError(ApplianceError):
    """Another run holds the lock."""

    exit_code = ExitCode.BUSY


class NotRunningError(ApplianceError):
    """What is asked needs something that does not run."""

    exit_code = ExitCode.NOT_RUNNING


class DeadlineError(ApplianceError):
    """Something took longer than it may."""

    exit_code = ExitCode.TIMEOUT


class DatabaseError(ApplianceError):
    """The database server answers, and refuses or fails what is asked of it."""


class NetworkError(ApplianceError):
    """Somebody else's server is not reached, or does not do what is asked."""


class StorageError(ApplianceError):
    """A file system is full, read-only, broken, or closed to this account."""


class UnexpectedError(ApplianceError):
    """A failure that nobody has foreseen: a defect of the appliance."""


class GaveUpError(ApplianceError):
    """Tried often enough; systemd does not try again by itself."""

    exit_code = ExitCode.GAVE_UP


class LatchedError(ApplianceError):
    """A failure that a person has to look at before anything is tried again."""

    latches = True


# What an operator can act on, whoever met it.
STORAGE_HINTS = {
    errno.ENOSPC: "make room: df -h and df -i show which file system is full",
    errno.EDQUOT: "make room, or raise the quota",
    errno.EROFS: "dmesg tells why the file system is read-only",
    errno.EACCES: "run this as root",
    errno.EPERM: "run this as root",
    errno.EIO: "dmesg tells of the disk's errors; check that the backups are recent: appliance status",
}


def as_failure(error: Exception) -> ApplianceError:
    """Return `error` as one that an operator can act on; an ApplianceError is one already."""
    if isinstance(error, ApplianceError):
        return error
    if isinstance(error, OSError) and error.errno in STORAGE_HINTS:
        place = f"{error.filename}: " if error.filename else ""
        return StorageError(f"{place}{error.strerror}", STORAGE_HINTS[error.errno])
    return UnexpectedError(
        f"{type(error).__name__}: {summarize(str(error)) or 'without a reason'}",
        "this is a defect: report it with the lines of the journal, journalctl -t appliance",
    )
