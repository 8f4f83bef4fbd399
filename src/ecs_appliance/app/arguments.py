"""What an operator may say about people: checked before the application is asked."""

from ecs_appliance.core.errors import ApplianceError, ExitCode
from ecs_appliance.env.formats import mail_address

LONGEST_NAME = 64
MOST_DAYS = 3650


class ArgumentError(ApplianceError):
    """What is asked for cannot be; nothing was touched."""

    exit_code = ExitCode.USAGE


def checked_address(email: str) -> str:
    """A mail address that a new user, or a mail, may have."""
    try:
        return mail_address(email)
    except ValueError:
        raise _no_address(email) from None


def checked_known_address(email: str) -> str:
    """What may be the address of a user who is there: the application takes more than we do."""
    name, at, host = email.rpartition("@")
    if not (at and name and host and email.isprintable()):
        raise _no_address(email)
    return email


def checked_subject_address(email: str) -> str:
    """A mail address that fits into a certificate: the application writes `/emailAddress=` and it, as in openssl."""
    if "/" in checked_address(email):
        raise ArgumentError(f"{email!r} has a slash, which no certificate can hold", "give the user another address")
    return email


def checked_name(kind: str, name: str) -> str:
    """A person's name, without blanks around it; `kind` is what an error calls it."""
    stripped = name.strip(" ")
    if not stripped or not stripped.isprintable() or len(stripped) > LONGEST_NAME:
        raise ArgumentError(f"{name!r} is no {kind}", f"one line of text is needed, up to {LONGEST_NAME} characters")
    return stripped


def checked_gender(gender: str) -> str:
    """f or m, as the application knows them."""
    if gender.lower() not in ("f", "m"):
        raise ArgumentError(f"{gender!r} is no gender that the application knows", "f or m")
    return gender.lower()


def checked_certificate_name(name: str) -> str:
    """It becomes part of an openssl subject, a mail's subject and a file's name."""
    plain = name == name.strip() and name.isprintable() and not set(name) & set('/\\+="<>,;')
    if not plain or not name or name.startswith((".", "-")) or len(name.encode()) > LONGEST_NAME:
        raise ArgumentError(
            f"{name!r} is no name for a certificate", "letters, digits, blanks, - and _, up to 64 bytes"
        )
    return name


def checked_known_certificate_name(name: str) -> str:
    """What may be the name of a certificate that is there: the application takes more than we do."""
    if not name or name.encode(errors="ignore").decode() != name:
        raise ArgumentError(f"{name!r} is no name for a certificate", "appliance cert list --all shows them")
    return name


def checked_days(days: int) -> int:
    """How long a certificate may be valid."""
    if not 1 <= days <= MOST_DAYS:
        raise ArgumentError(f"a certificate cannot be valid for {days} days", f"1 to {MOST_DAYS}")
    return days


def _no_address(email: str) -> ArgumentError:
    return ArgumentError(f"{email!r} is no mail address", "it looks like name@example.org")
