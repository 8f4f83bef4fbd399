"""The exception hierarchy and the exit codes."""

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

    `message` says what is wrong and where, `hint` what to do next. An error that `latches` must not be retried blindly:
    the unit that fails with it creates /run/appliance-failed, and no unit starts until that file is removed. For an
    error that is `alerted`, an alert has already been raised.
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
        """One line that says what failed and why."""
        return summarize(self.message)


class RefusedError(ApplianceError):
    """A precondition is not met; nothing was changed."""

    exit_code = ExitCode.REFUSED


class InvalidEnvError(ApplianceError):
    """The environment is missing or invalid."""

    exit_code = ExitCode.INVALID_ENV


class BusyError(ApplianceError):
    """Another run holds the lock."""

    exit_code = ExitCode.BUSY


class NotRunningError(ApplianceError):
    """The command needs a service or container that is not running."""

    exit_code = ExitCode.NOT_RUNNING


class DeadlineError(ApplianceError):
    """Something exceeded its time limit."""

    exit_code = ExitCode.TIMEOUT


class DatabaseError(ApplianceError):
    """The database server is reachable but refuses a request or fails to carry it out."""


class NetworkError(ApplianceError):
    """A remote server is unreachable or does not do what is asked."""


class StorageError(ApplianceError):
    """A filesystem is full, read-only or damaged, or denies access to this account."""


class UnexpectedError(ApplianceError):
    """An unforeseen failure: a bug in the appliance."""


class GaveUpError(ApplianceError):
    """Retries are used up; systemd must not try again."""

    exit_code = ExitCode.GAVE_UP


class LatchedError(ApplianceError):
    """A failure that needs a person before anything is retried."""

    latches = True


# OS errors that an operator can fix, by errno.
STORAGE_HINTS = {
    errno.ENOSPC: "free up space: df -h and df -i show which file system is full",
    errno.EDQUOT: "free up space, or raise the quota",
    errno.EROFS: "dmesg shows why the file system is read-only",
    errno.EACCES: "run this as root",
    errno.EPERM: "run this as root",
    errno.EIO: "dmesg shows the disk errors; check that the backups are recent: appliance status",
}


def as_failure(error: Exception) -> ApplianceError:
    """Convert `error` to an ApplianceError; one that is already is returned unchanged."""
    if isinstance(error, ApplianceError):
        return error
    if isinstance(error, OSError) and error.errno in STORAGE_HINTS:
        place = f"{error.filename}: " if error.filename else ""
        return StorageError(f"{place}{error.strerror}", STORAGE_HINTS[error.errno])
    return UnexpectedError(
        f"{type(error).__name__}: {summarize(str(error)) or 'no reason given'}",
        "this is a bug: report it with the output of journalctl -t appliance",
    )
