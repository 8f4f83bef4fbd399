"""Read emailto.txt and compose the mail with the encrypted archive."""

import re
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import localtime, make_msgid

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.env import formats

FILE_NAME = "emailto.txt"
COMMENT = re.compile(r"(^|\s)#.*")
BODY = """\
The attached file contains the configuration of {domain}, last modified {modified:%Y-%m-%d %H:%M %Z}: env.yml,
env.yml.pdf for paper, and env-cidata.iso, the drive that configures a new machine.

It is encrypted for its recipients. To decrypt it with the private key of one of them:

    gpg --decrypt {name} | tar xz

Store it where it survives the loss of the machine. With a backup, it is all that is needed to rebuild
{domain}.
"""


def read_addresses(data: bytes) -> tuple[str, ...]:
    """Return the addresses in `data`, the content of emailto.txt, one per line, without duplicates.

    Ignore blank lines and comments (#). Raise RefusedError naming every invalid line, or if there is no address.
    """
    addresses: dict[str, str] = {}
    wrong = []
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").split("\n"), 1):
        text = COMMENT.sub("", line.removesuffix("\r")).strip(" \t")
        try:
            if text:
                addresses.setdefault(text.lower(), formats.mail_address(text))
        except ValueError as error:
            wrong.append(f"{FILE_NAME}:{number}: {error}")
    if wrong:
        raise RefusedError("\n".join(wrong), "correct these lines, one address per line; no mail was sent")
    if not addresses:
        raise RefusedError(f"{FILE_NAME} contains no address", "add one, or remove the file so that nothing is mailed")
    return tuple(addresses.values())


def default_sender(user: str, domain: str) -> str:
    """Return the default sender: the `user` of the mail server if that is an address, else root of `domain`."""
    try:
        return formats.mail_address(user)
    except ValueError:
        return f"root@{domain}"


def compose(
    encrypted: bytes, name: str, *, domain: str, modified: datetime, sender: str, recipients: Sequence[str]
) -> EmailMessage:
    """Return one mail to all `recipients` with the encrypted archive `encrypted` attached as the file `name`.

    Raise RefusedError if `sender` is no address.
    """
    message = EmailMessage()
    message["From"] = _checked(sender)
    message["To"] = ", ".join(recipients)
    message["Subject"] = f"{domain}: encrypted configuration of {modified:%Y-%m-%d %H:%M}"
    message["Date"] = localtime()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(BODY.format(domain=domain, modified=modified, name=name))
    # Not application/pgp-encrypted: mail programs treat that as part of an encrypted mail (RFC 3156) and hide it.
    message.add_attachment(encrypted, maintype="application", subtype="octet-stream", filename=name)
    return message


def _checked(sender: str) -> str:
    try:
        return formats.mail_address(sender)
    except ValueError as error:
        raise RefusedError(f"not a valid sender address: {error}") from None
