"""The one exception tree, and what an exit code means."""

from enum import IntEnum


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
    the unit that meets it leaves /run/appliance-failed behind, and no unit starts until that file is removed.
    """

    exit_code: ExitCode = ExitCode.FAILED
    latches: bool = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


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


class GaveUpError(ApplianceError):
    """Tried often enough; systemd does not try again by itself."""

    exit_code = ExitCode.GAVE_UP


class LatchedError(ApplianceError):
    """A failure that a person has to look at before anything is tried again."""

    latches = True
