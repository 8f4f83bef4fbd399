"""Mails the encrypted archive, and nothing else, to those who lie beside env.yml in emailto.txt."""

from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.env.document import read
from ecs_appliance.safekeeping import keyfile, mail
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
    """Whether somebody waits for mail about the env.yml `file`."""
    return file.with_name(mail.FILE_NAME).exists()


def recipients_of(file: Path) -> tuple[str, ...]:
    """Who is to get the archive of the env.yml `file`. Raises RefusedError where it could not be mailed."""
    if not has_recipients(file):
        raise RefusedError(f"there is nobody to mail to: {file.with_name(mail.FILE_NAME)} is missing")
    if not file.with_name(keyfile.FILE_NAME).exists():
        raise RefusedError(
            f"{file.with_name(keyfile.FILE_NAME)} is missing: nothing is mailed that is not encrypted",
            f"gpg --armor --export NAME >> {file.with_name(keyfile.FILE_NAME)}",
        )
    return mail.read_addresses(read(file.with_name(mail.FILE_NAME)))


def deliver(made: Package, recipients: tuple[str, ...], post: Post) -> Delivery:
    """Mail the archive of `made` to `recipients`. Raises as `send` does; the package is written all the same."""
    if made.sealed is None:
        raise ApplianceError("there is no encrypted archive to mail")
    message = mail.compose(
        made.sealed.read_bytes(),
        made.sealed.name,
        domain=made.domain,
        modified=made.modified,
        sender=post.sender or mail.default_sender(post.server.user, made.domain),
        recipients=recipients,
    )
    return send(message, post.server, post.password, authorities=post.authorities)
