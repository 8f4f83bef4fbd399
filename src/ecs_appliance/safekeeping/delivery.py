"""Mails the encrypted archive, and nothing else, to those who lie beside env.yml in emailto.txt."""

from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.safekeeping import keyfile, mail
from ecs_appliance.safekeeping.beside import lies_beside, read_beside
from ecs_appliance.safekeeping.mailserver import Server
from ecs_appliance.safekeeping.package import Package
from ecs_appliance.safekeeping.smtp import Delivery, send


@dataclass(frozen=True, repr=False)
class Post:
    """By which server, as whom, and whose certificate the server's is checked against."""

    server: Server
    password: str
    sender: str = ""
    authorities: Path | None = None


def has_recipients(file: Path) -> bool:
    """Whether somebody waits for mail about the env.yml `file`. Raises ApplianceError where that cannot be told."""
    return lies_beside(file, mail.FILE_NAME)


def recipients_of(file: Path) -> tuple[str, ...]:
    """Who is to get the archive of the env.yml `file`.

    Raises RefusedError where it could not be mailed, ApplianceError where a file beside it cannot be read.
    """
    addresses = read_beside(file, mail.FILE_NAME)
    if addresses is None:
        raise RefusedError(f"there is nobody to mail to: {file.parent / mail.FILE_NAME} is missing")
    if read_beside(file, keyfile.FILE_NAME) is None:
        keys = file.parent / keyfile.FILE_NAME
        raise RefusedError(
            f"{keys} is missing: nothing is mailed that is not encrypted", f"gpg --armor --export NAME >> {keys}"
        )
    return mail.read_addresses(addresses)


def deliver(made: Package, recipients: tuple[str, ...], post: Post) -> Delivery:
    """Mail the archive of `made` to `recipients`. Raises as `send` does; the package is written all the same."""
    if made.sealed is None:
        raise ApplianceError("there is no encrypted archive to mail")
    try:
        sealed = made.sealed.read_bytes()
    except OSError as error:
        raise ApplianceError(f"cannot read {made.sealed}: {error.strerror}") from None
    message = mail.compose(
        sealed,
        made.sealed.name,
        domain=made.domain,
        modified=made.modified,
        sender=post.sender or mail.default_sender(post.server.user, made.domain),
        recipients=recipients,
    )
    return send(message, post.server, post.password, authorities=post.authorities)
