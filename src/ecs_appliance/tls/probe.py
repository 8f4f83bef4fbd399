"""Compare the certificates that this machine's servers present with those deployed."""

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
# Old processes keep answering until a reload's new processes accept connections.
SETTLE_SECONDS = 15.0
POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Endpoint:
    """A port with TLS from the start, or SMTP with STARTTLS; if `needed`, a closed port is a problem."""

    port: int
    speaks: Literal["tls", "smtp"]
    needed: bool = False


# nginx serves every name, the mail servers only the domain.
SITE = Endpoint(443, "tls", needed=True)
MAIL = (Endpoint(465, "tls"), Endpoint(25, "smtp"))


@dataclass(frozen=True)
class ProbeResult:
    """The result for `name` at `port`; `problem` is empty if the server presented the deployed certificate."""

    name: str
    port: int
    problem: str = ""


def probe(
    selections: Iterable[Selection], *, site: Endpoint = SITE, mail: Iterable[Endpoint] = MAIL
) -> list[ProbeResult]:
    """Compare once, for each name; skip mail ports that are closed."""
    chosen = list(selections)
    # Clients that connect to an IP address send no server name, and get the domain's certificate.
    named = [each for each in chosen if isinstance(general_name(each.name), x509.DNSName)]
    questions = [(each, site) for each in named] + [(chosen[0], endpoint) for endpoint in mail]
    answers = (_compare(selection, endpoint) for selection, endpoint in questions)
    return [answer for answer in answers if answer is not None]


def probe_until_stable(once: Callable[[], list[ProbeResult]], *, seconds: float = SETTLE_SECONDS) -> list[ProbeResult]:
    """Repeat the comparison `once` until there is no problem or `seconds` have passed; return the last result."""
    deadline = time.monotonic() + seconds
    while True:
        seen = once()
        if not any(each.problem for each in seen) or time.monotonic() > deadline:
            return seen
        time.sleep(POLL_SECONDS)


def _compare(selection: Selection, endpoint: Endpoint) -> ProbeResult | None:
    name, port = selection.name, endpoint.port
    try:
        presented = _presented(endpoint, name)
    except ConnectionRefusedError:
        return ProbeResult(name, port, "nothing is listening there") if endpoint.needed else None
    except (OSError, smtplib.SMTPException) as error:
        return ProbeResult(name, port, f"no TLS there: {error}")
    if presented == selection.credentials.leaf.public_bytes(Encoding.DER):
        return ProbeResult(name, port)
    return ProbeResult(name, port, "the served certificate is not the deployed one")


def _presented(endpoint: Endpoint, name: str) -> bytes:
    """Return the server's certificate as DER, without verification: it is only compared."""
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
        # smtplib uses this as server name for TLS.
        client._host = name  # type: ignore[attr-defined]
        client.starttls(context=context)
        secured = client.sock
        return (secured.getpeercert(binary_form=True) if isinstance(secured, ssl.SSLSocket) else None) or b""
    finally:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            client.quit()
        client.close()
