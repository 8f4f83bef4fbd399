"""Mail the encrypted archive, and nothing else, to the addresses in emailto.txt next to env.yml."""

from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.offline_copy import mail, recipient_keys
from ecs_appliance.offline_copy.companion_files import has_companion, read_companion
from ecs_appliance.offline_copy.mailserver import MailServer
from ecs_appliance.offline_copy.package import Package
from ecs_appliance.offline_copy.smtp import Delivery, send


@dataclass(frozen=True, repr=False)
class SmtpOptions:
    """The mail server, the password for it, the sender, and the file of CA certificates to verify the server with."""

    server: MailServer
    password: str
    sender: str = ""
    authorities: Path | None = None


def has_recipients(file: Path) -> bool:
    """Return whether there is an emailto.txt next to the env.yml `file`. Raise ApplianceError if it is unknown."""
    return has_companion(file, mail.FILE_NAME)


def recipients_of(file: Path) -> tuple[str, ...]:
    """Return the addresses to which to mail the archive of the env.yml `file`.

    Raise RefusedError if it cannot be mailed, ApplianceError if a file next to it cannot be read.
    """
    addresses = read_companion(file, mail.FILE_NAME)
    if addresses is None:
        raise RefusedError(f"there are no recipients: {file.parent / mail.FILE_NAME} is missing")
    if read_companion(file, recipient_keys.FILE_NAME) is None:
        keys = file.parent / recipient_keys.FILE_NAME
        raise RefusedError(
            f"{keys} is missing, and unencrypted files are never mailed", f"gpg --armor --export NAME >> {keys}"
        )
    return mail.read_addresses(addresses)


def deliver(made: Package, recipients: tuple[str, ...], post: SmtpOptions) -> Delivery:
    """Mail the archive of the written package `made` to `recipients`. Raise as `send` does, or ApplianceError."""
    if made.encrypted is None:
        raise ApplianceError("there is no encrypted archive to mail")
    try:
        encrypted = made.encrypted.read_bytes()
    except OSError as error:
        raise ApplianceError(f"cannot read {made.encrypted}: {error.strerror}") from None
    message = mail.compose(
        encrypted,
        made.encrypted.name,
        domain=made.domain,
        modified=made.modified,
        sender=post.sender or mail.default_sender(post.server.user, made.domain),
        recipients=recipients,
    )
    return send(message, post.server, post.password, authorities=post.authorities)
