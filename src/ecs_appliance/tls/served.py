"""What this machine's servers really present, compared with what was deployed for them."""

import contextlib
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ecs_appliance.tls.credentials import general_name
from ecs_appliance.tls.selection import Selection

HOST = "127.0.0.1"
SECONDS = 10.0
# A reload is done when its new processes accept; until then the old ones answer.
SETTLE_SECONDS = 15.0
POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Endpoint:
    """A port with TLS from the start, or with STARTTLS as mail servers speak it; `needed`: somebody has to listen."""

    port: int
    speaks: Literal["tls", "smtp"]
    needed: bool = False


# 443 answers for every name, the mail servers for the domain.
SITE = Endpoint(443, "tls", needed=True)
MAIL = (Endpoint(465, "tls"), Endpoint(25, "smtp"))


@dataclass(frozen=True)
class Served:
    """What a server presented for `name` at `port`; `problem` is empty where it is what was deployed."""

    name: str
    port: int
    problem: str = ""


def look(selections: Iterable[Selection], *, site: Endpoint = SITE, mail: Iterable[Endpoint] = MAIL) -> list[Served]:
    """Compare now, for each name; ports of mail servers that are not there do not count."""
    chosen = list(selections)
    # Who comes by an address asks for no name, and gets the domain's.
    named = [each for each in chosen if isinstance(general_name(each.name), x509.DNSName)]
    questions = [(each, site) for each in named] + [(chosen[0], endpoint) for endpoint in mail]
    answers = (_compare(selection, endpoint) for selection, endpoint in questions)
    return [answer for answer in answers if answer is not None]


def look_settled(once: Callable[[], list[Served]], *, seconds: float = SETTLE_SECONDS) -> list[Served]:
    """`once` (a look), repeated until nothing differs, or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while True:
        seen = once()
        if not any(each.problem for each in seen) or time.monotonic() > deadline:
            return seen
        time.sleep(POLL_SECONDS)


def _compare(selection: Selection, endpoint: Endpoint) -> Served | None:
    name, port = selection.name, endpoint.port
    try:
        presented = _presented(endpoint, name)
    except ConnectionRefusedError:
        return Served(name, port, "nobody listens there") if endpoint.needed else None
    except (OSError, smtplib.SMTPException) as error:
        return Served(name, port, f"no TLS there: {error}")
    if presented == selection.credentials.leaf.public_bytes(Encoding.DER):
        return Served(name, port)
    return Served(name, port, "another certificate than the one deployed is served")


def _presented(endpoint: Endpoint, name: str) -> bytes:
    """The server's certificate, DER. Whoever signed it: it is compared, not trusted."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    asked = name.replace("*", "any")
    if endpoint.speaks == "smtp":
        return _by_starttls(endpoint.port, context, asked)
    with (
        socket.create_connection((HOST, endpoint.port), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=asked) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _by_starttls(port: int, context: ssl.SSLContext, name: str) -> bytes:
    client = smtplib.SMTP(HOST, port, local_hostname="localhost", timeout=SECONDS)
    try:
        client.ehlo()
        # smtplib takes the name to ask for from the host it was given.
        client._host = name  # type: ignore[attr-defined]
        client.starttls(context=context)
        secured = client.sock
        return (secured.getpeercert(binary_form=True) if isinstance(secured, ssl.SSLSocket) else None) or b""
    finally:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            client.quit()
        client.close()
