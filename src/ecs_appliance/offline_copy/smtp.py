"""Send a mail by SMTP: verify the server, and report which recipients it accepted."""

import smtplib
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, DeadlineError, NetworkError, RefusedError
from ecs_appliance.core.log import masked
from ecs_appliance.core.sockets import cut_after
from ecs_appliance.offline_copy.mailserver import MailServer

GREETING_SECONDS = 30
GOODBYE_SECONDS = 5
SECONDS = 300
LONGEST_ANSWER = 200
OK, FORWARDED = 250, 251


@dataclass(frozen=True)
class Delivery:
    """The recipients that the server accepted, and its reply for each one that it refused."""

    accepted: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


class NotDeliveredError(ApplianceError):
    """The server did not accept every recipient; `delivery` says which ones."""

    def __init__(self, server: MailServer, delivery: Delivery) -> None:
        got = ", ".join(delivery.accepted) or "nobody"
        refused = "".join(f"\n  {address}: {answer}" for address, answer in delivery.refused.items())
        again = "codes that begin with 4 are temporary: try again later; those with 5 are permanent"
        super().__init__(f"{server} accepted the mail for {got}, and refused:{refused}", again)
        self.delivery = delivery


def send(
    message: EmailMessage,
    server: MailServer,
    password: str = "",
    *,
    authorities: Path | None = None,
    seconds: float = SECONDS,
) -> Delivery:
    """Send `message` through `server` to everyone in its header To.

    Once connected, this takes at most `seconds`. Before that, connecting takes at most 30 s per address of the host
    name, and the system's resolver has no limit.
    The server's certificate is verified with the system's CA certificates, or those in the file `authorities`.
    Raise NotDeliveredError if it did not accept every recipient (the others get the mail), RefusedError if it cannot
    be trusted with the mail or the password, DeadlineError, or ApplianceError with its reply.
    """
    context = _trust(authorities)
    began = time.monotonic()
    try:
        with _connect(server, context, seconds) as client:
            _log_in(client, server, password, context)
            delivery = _deliver(client, server, message)
    except (smtplib.SMTPException, OSError) as error:
        late = time.monotonic() - began >= seconds
        raise _explain(error, server, late=late) from None
    if delivery.refused:
        raise NotDeliveredError(server, delivery)
    return delivery


def _trust(authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise RefusedError(
            f"{authorities} cannot be used: {error.strerror}", "it must contain PEM certificates"
        ) from None


class _Client(smtplib.SMTP):
    """An SMTP client on an open connection, so that the time limit covers the greeting too."""

    def __init__(self, line: socket.socket, server: MailServer) -> None:
        self._line = line
        # To find a name for itself, smtplib may query DNS without a timeout.
        super().__init__(server.host, server.port, local_hostname=_literal(line.getsockname()[0]))

    def connect(self, *_address: object) -> tuple[int, bytes]:
        self.sock, self.file = self._line, None
        return self.getreply()


@contextmanager
def _connect(server: MailServer, context: ssl.SSLContext, seconds: float) -> Iterator[_Client]:
    line = socket.create_connection((server.host, server.port), timeout=min(GREETING_SECONDS, seconds))
    try:
        with cut_after(line, seconds):
            if server.tls:
                line = context.wrap_socket(line, server_hostname=server.host)
            client = _Client(line, server)
            line.settimeout(seconds)
            try:
                yield client
            finally:
                # Not `with client`: that sends QUIT even to a server that has just timed out.
                client.close()
    finally:
        line.close()


def _literal(address: str) -> str:
    """Return the address literal with which a machine without a public name identifies itself (RFC 5321)."""
    return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"


def _log_in(client: smtplib.SMTP, server: MailServer, password: str, context: ssl.SSLContext) -> None:
    client.ehlo_or_helo_if_needed()
    encrypted = server.tls
    # Nobody can eavesdrop on a connection within this machine, and a certificate is seldom issued for localhost.
    if not encrypted and (server.user or not server.is_here) and client.has_extn("starttls"):
        client.starttls(context=context)
        client.ehlo_or_helo_if_needed()
        encrypted = True
    if not server.user:
        return
    if not encrypted:
        hint = "use smtps:// if it supports that, or a server that accepts mail from here without a user"
        raise RefusedError(f"{server} offers no STARTTLS, and the password is not sent unencrypted", hint)
    client.login(server.user, password)


def _deliver(client: smtplib.SMTP, server: MailServer, message: EmailMessage) -> Delivery:
    content = message.as_bytes(policy=SMTP)
    sender = message["From"].addresses[0].addr_spec
    code, answer = client.mail(sender, [f"size={len(content)}"] if client.has_extn("size") else [])
    if code != OK:
        raise smtplib.SMTPSenderRefused(code, answer, sender)
    answers = {each.addr_spec: client.rcpt(each.addr_spec) for each in message["To"].addresses}
    refused = {to: _reply(*answer) for to, answer in answers.items() if answer[0] not in (OK, FORWARDED)}
    accepted = tuple(to for to in answers if to not in refused)
    if accepted:
        _hand_over(client, server, content)
    _say_goodbye(client)
    return Delivery(accepted, refused)


def _hand_over(client: smtplib.SMTP, server: MailServer, content: bytes) -> None:
    try:
        code, answer = client.data(content)
    except (smtplib.SMTPServerDisconnected, OSError):
        raise ApplianceError(
            f"{server} broke off while accepting the mail, so it may or may not be delivered",
            "ask a recipient before sending it again",
        ) from None
    if code != OK:
        raise smtplib.SMTPDataError(code, answer)


def _say_goodbye(client: smtplib.SMTP) -> None:
    """Send QUIT and ignore failures: the mail has been accepted or refused already."""
    with suppress(smtplib.SMTPException, OSError):
        if client.sock:
            client.sock.settimeout(GOODBYE_SECONDS)
        client.quit()


def _reply(code: int, answer: bytes | str) -> str:
    """Return a server's reply, masked, shortened and printable."""
    text = masked(answer.decode(errors="replace") if isinstance(answer, bytes) else answer)
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    # Masked again, since joining the lines may have restored a secret that was split.
    return masked(f"{code} {words}")[:LONGEST_ANSWER] if code > 0 else "it is not an SMTP server"


def _explain(error: smtplib.SMTPException | OSError, server: MailServer, *, late: bool) -> ApplianceError:  # noqa: PLR0911
    """Return the error for a failure before the mail was handed over; in each case it was sent to nobody."""
    if late or isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        hint = "try smtps:// (TLS from the start, port 465) instead of smtp://, or vice versa"
        return DeadlineError(f"{server} did not answer in time, so the mail was not sent", hint)
    match error:
        case ssl.SSLCertVerificationError():
            hint = "if it was issued by your own authority, give a file with the certificate of that authority"
            return RefusedError(f"the certificate of {server} is not trusted: {error.verify_message}", hint)
        case ssl.SSLError():
            hint = "smtps:// uses TLS from the start, smtp:// starts without"
            return NetworkError(f"no TLS connection with {server}: {error.reason}", hint)
        case smtplib.SMTPAuthenticationError():
            answer = _reply(error.smtp_code, error.smtp_error)
            return ApplianceError(f"{server} rejected the login of {server.user}: {answer}", "check user and password")
        case smtplib.SMTPResponseException():
            answer = _reply(error.smtp_code, error.smtp_error)
            return NetworkError(f"{server} does not accept the mail: {answer}", "4…: try again later; 5… is permanent")
        case smtplib.SMTPServerDisconnected():
            return NetworkError(f"{server} closed the connection before accepting the mail", "try again later")
        case smtplib.SMTPException():
            return ApplianceError(
                f"cannot log in to {server} as {server.user}: {error}", "leave the user out of the URL"
            )
    return NetworkError(f"{server} cannot be reached: {error.strerror or error}", "check host, port and network")
