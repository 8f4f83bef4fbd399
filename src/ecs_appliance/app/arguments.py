"""Validate operators' input about people before the application is called: return it, or raise ArgumentError."""

from ecs_appliance.core.errors import ApplianceError, ExitCode
from ecs_appliance.env.formats import mail_address

LONGEST_NAME = 64
MOST_DAYS = 3650


class ArgumentError(ApplianceError):
    """An argument is invalid; nothing was changed."""

    exit_code = ExitCode.USAGE


def checked_address(email: str) -> str:
    """Return `email` if it is a valid mail address for a new user or a mail."""
    try:
        return mail_address(email)
    except ValueError:
        raise _no_address(email) from None


def checked_known_address(email: str) -> str:
    """Return `email` if it may be an existing user's: the application accepts more than we do for new ones."""
    name, at, host = email.rpartition("@")
    if not (at and name and host and email.isprintable()):
        raise _no_address(email)
    return email


def checked_subject_address(email: str) -> str:
    """Return `email` if it can be in a certificate: the application passes `/emailAddress=EMAIL` to openssl."""
    if "/" in checked_address(email):
        raise ArgumentError(
            f"{email!r} contains a slash, which is not allowed in a certificate",
            "give the user an address without a slash",
        )
    return email


def checked_name(kind: str, name: str) -> str:
    """Return a person's name without surrounding blanks; `kind` is its name in the error."""
    stripped = name.strip(" ")
    if not stripped or not stripped.isprintable() or len(stripped) > LONGEST_NAME:
        raise ArgumentError(
            f"{name!r} is not a valid {kind}", f"enter one line of text of up to {LONGEST_NAME} characters"
        )
    return stripped


def checked_gender(gender: str) -> str:
    """Return `gender` as the application's f or m."""
    if gender.lower() not in ("f", "m"):
        raise ArgumentError(f"{gender!r} is not a gender that the application knows", "use f or m")
    return gender.lower()


def checked_certificate_name(name: str) -> str:
    """Return `name` if it can be part of an openssl subject, a mail's subject and a file name."""
    plain = name == name.strip() and name.isprintable() and not set(name) & set('/\\+="<>,;')
    if not plain or not name or name.startswith((".", "-")) or len(name.encode()) > LONGEST_NAME:
        raise ArgumentError(
            f"{name!r} is not a valid certificate name", "use letters, digits, spaces, - and _, up to 64 bytes"
        )
    return name


def checked_known_certificate_name(name: str) -> str:
    """Return `name` if it may be an existing certificate's: the application accepts more than we do for new ones."""
    if not name or name.encode(errors="ignore").decode() != name:
        raise ArgumentError(f"{name!r} is not a valid certificate name", "appliance cert list --all shows the names")
    return name


def checked_days(days: int) -> int:
    """Return `days` if a certificate may be valid for so long."""
    if not 1 <= days <= MOST_DAYS:
        raise ArgumentError(f"a certificate cannot be valid for {days} days", f"1 to {MOST_DAYS}")
    return days


def _no_address(email: str) -> ArgumentError:
    return ArgumentError(f"{email!r} is not a mail address", "use the form name@example.org")
