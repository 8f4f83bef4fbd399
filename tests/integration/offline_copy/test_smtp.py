"""Mail through a real server: who receives it, who does not, and what is never sent."""

import socket
import time
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from ecs_appliance.core.errors import ApplianceError, DeadlineError, RefusedError
from ecs_appliance.core.log import register_secret
from ecs_appliance.offline_copy import smtp
from ecs_appliance.offline_copy.mail import compose
from ecs_appliance.offline_copy.mailserver import MailServer, read_server
from ecs_appliance.offline_copy.smtp import Delivery, NotDeliveredError, send
from tests.integration.offline_copy.authority import Authority, found_authority
from tests.integration.offline_copy.postoffice import HANG_UP, SILENCE, PostOffice, Recitation, listening

NAME = "ecs.example.org.env.2026-03-04_05.06.tar.gz.gpg"
SEALED = bytes(range(256)) * 5000 + b"\r\n.\r\n\n.\n"
OFFICE, SAFE, AUDIT = "office@example.org", "safe@example.org", "audit@example.net"
ALL = (OFFICE, SAFE, AUDIT)
USER, PASSWORD = "ecs@example.org", "a password of one line"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return found_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def message() -> EmailMessage:
    moment = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    return compose(
        SEALED, NAME, domain="ecs.example.org", modified=moment, sender="root@ecs.example.org", recipients=ALL
    )


def at(port: int, scheme: str = "smtp", user: str = "") -> MailServer:
    return read_server(f"{scheme}://{user and user + '@'}127.0.0.1:{port}")


def test_one_mail_reaches_all(message: EmailMessage) -> None:
    office = PostOffice()
    with office.open() as port:
        assert send(message, at(port)) == Delivery(ALL, {})
    (mail,) = office.received
    assert (mail.sender, mail.recipients) == ("root@ecs.example.org", ALL)
    assert office.greeted_by == "[127.0.0.1]"
    read = message_from_bytes(mail.content, policy=policy.default)
    assert read["To"] == ", ".join(ALL)
    (attachment,) = read.iter_attachments()
    assert attachment.get_filename() == NAME
    assert attachment.get_payload(decode=True) == SEALED


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_user_logs_in_over_tls(message: EmailMessage, authority: Authority, scheme: str) -> None:
    office = PostOffice(users={USER: PASSWORD})
    contexts = {"starttls" if scheme == "smtp" else "tls": authority.context}
    with office.open(**contexts) as port:
        send(message, at(port, scheme, USER), PASSWORD, authorities=authority.file)
    assert [(mail.user, mail.encrypted) for mail in office.received] == [(USER, True)]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_nobody_vouches_for_gets_nothing(message: EmailMessage, authority: Authority, scheme: str) -> None:
    office = PostOffice(users={USER: PASSWORD})
    contexts = {"starttls" if scheme == "smtp" else "tls": authority.context}
    with office.open(**contexts) as port, pytest.raises(RefusedError, match="is not trusted: unable to get local"):
        send(message, at(port, scheme, USER), PASSWORD)
    assert office.received == []


@pytest.fixture
def everything_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve every name to this machine."""
    ask = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, port, *rest: ask("127.0.0.1", port, *rest))


@pytest.mark.usefixtures("everything_is_here")
def test_a_certificate_for_another_name_is_not_trusted(message: EmailMessage, authority: Authority) -> None:
    with PostOffice().open(tls=authority.context) as port, pytest.raises(RefusedError, match="Hostname mismatch"):
        send(message, MailServer("mail.example.net", port, tls=True), authorities=authority.file)


@pytest.mark.usefixtures("everything_is_here")
def test_starttls_is_used_where_it_is_offered(message: EmailMessage, authority: Authority) -> None:
    office = PostOffice()
    with office.open(starttls=authority.context) as port:
        server = MailServer("mail.example.org", port, tls=False)
        send(message, server, authorities=authority.file)
        with pytest.raises(RefusedError, match="is not trusted"):
            send(message, server)
    assert [mail.encrypted for mail in office.received] == [True]


def test_on_this_machine_no_certificate_is_needed(message: EmailMessage, authority: Authority) -> None:
    office = PostOffice()
    with office.open(starttls=authority.context) as port:
        send(message, at(port))
    assert [mail.encrypted for mail in office.received] == [False]


def test_a_password_is_not_sent_in_the_clear(message: EmailMessage) -> None:
    office = PostOffice(users={USER: PASSWORD})
    with office.open() as port, pytest.raises(RefusedError, match="no STARTTLS, and the password is not sent"):
        send(message, at(port, user=USER), PASSWORD)


def test_a_wrong_password_is_told_without_it(message: EmailMessage, authority: Authority) -> None:
    office = PostOffice(users={USER: PASSWORD})
    with office.open(starttls=authority.context) as port, pytest.raises(ApplianceError) as caught:
        send(message, at(port, user=USER), "wrong password", authorities=authority.file)
    assert f"rejected the login of {USER}: 535" in caught.value.message
    assert "wrong password" not in repr(caught.value) + caught.value.hint


def test_no_part_of_a_secret_is_told_that_an_answer_is_cut_in(message: EmailMessage) -> None:
    register_secret(PASSWORD)
    office = PostOffice(answers={SAFE: "550 " + "x" * 190 + PASSWORD})
    with office.open() as port, pytest.raises(NotDeliveredError) as caught:
        send(message, at(port))
    assert PASSWORD[:4] not in caught.value.message
    assert caught.value.delivery.refused[SAFE] == "550 " + "x" * 190 + "*****"


def test_a_server_without_users_is_told(message: EmailMessage, authority: Authority) -> None:
    with PostOffice().open(tls=authority.context) as port, pytest.raises(ApplianceError) as caught:
        send(message, at(port, "smtps", USER), PASSWORD, authorities=authority.file)
    assert f"rejected the login of {USER}" in caught.value.message


def test_who_got_it_and_who_did_not_is_told(message: EmailMessage) -> None:
    office = PostOffice(answers={SAFE: "550 5.1.1 no such mailbox", AUDIT: "451 4.7.1 greylisted"})
    with office.open() as port, pytest.raises(NotDeliveredError) as caught:
        send(message, at(port))
    assert [mail.recipients for mail in office.received] == [(OFFICE,)]
    refused = {SAFE: "550 5.1.1 no such mailbox", AUDIT: "451 4.7.1 greylisted"}
    assert caught.value.delivery == Delivery((OFFICE,), refused)
    assert caught.value.message == (
        f"127.0.0.1:{port} accepted the mail for {OFFICE}, and refused:"
        f"\n  {SAFE}: 550 5.1.1 no such mailbox\n  {AUDIT}: 451 4.7.1 greylisted"
    )


def test_nobody_accepted_means_nothing_sent(message: EmailMessage) -> None:
    office = PostOffice(answers=dict.fromkeys(ALL, "550 no"))
    with office.open() as port, pytest.raises(NotDeliveredError, match="accepted the mail for nobody"):
        send(message, at(port))
    assert office.received == []


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"MAIL": "550 5.7.1 not you"}, "does not accept the mail: 550 5.7.1 not you"),
        ({"MAIL": "421 4.3.2 closing"}, "does not accept the mail: 421 4.3.2 closing"),
        ({"DATA": "451 4.3.0 \x1b[31m try later"}, r"does not accept the mail: 451 4.3.0 \[31m try later"),
        ({"DATA": "552 5.3.4 too big"}, "does not accept the mail: 552 5.3.4 too big"),
        ({"MAIL": HANG_UP}, "closed the connection before accepting the mail"),
        ({SAFE: HANG_UP}, "closed the connection before accepting the mail"),
        ({"DATA": HANG_UP}, "broke off while accepting the mail, so it may or may not be delivered"),
    ],
)
def test_a_server_that_does_not_take_it_is_told(message: EmailMessage, answers: dict[str, str], reason: str) -> None:
    office = PostOffice(answers=answers)
    with office.open() as port, pytest.raises(ApplianceError, match=reason):
        send(message, at(port))
    assert office.received == []


@pytest.mark.parametrize("step", ["MAIL", SAFE, "DATA"])
def test_a_server_that_falls_silent_does_not_hold_us(message: EmailMessage, step: str) -> None:
    office = PostOffice(answers={step: SILENCE})
    began = time.monotonic()
    with office.open() as port, pytest.raises(ApplianceError, match=r"did not answer in time|broke off"):
        send(message, at(port), seconds=0.5)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("text", "pause", "error"),
    [
        (b"", 0, "closed the connection before accepting the mail"),
        (b"220 " + b"x" * 1000, 0.05, "did not answer in time"),
        (b"220-a\r\n" * 1000, 0.05, "did not answer in time"),
        (b"220 \r\n" + b"250-a\r\n" * 1000, 0.01, "did not answer in time"),
        (b"554 5.7.1 not from here\r\n", 0, "does not accept the mail: 554 5.7.1 not from here"),
        (b"SSH-2.0-server\r\n", 0, "does not accept the mail: it is not an SMTP server"),
    ],
)
def test_a_slow_or_strange_server_does_not_hold_us(
    message: EmailMessage, text: bytes, pause: float, error: str
) -> None:
    began = time.monotonic()
    with listening(lambda: Recitation(text, pause)) as port, pytest.raises(ApplianceError, match=error):
        send(message, at(port), seconds=0.5)
    assert time.monotonic() - began < 3


def test_silence_at_the_greeting_is_a_deadline(message: EmailMessage) -> None:
    with listening(lambda: Recitation(b"2", 60)) as port, pytest.raises(DeadlineError, match="was not sent") as caught:
        send(message, at(port), seconds=0.3)
    assert "smtps://" in caught.value.hint


def test_tls_where_there_is_none_is_told(message: EmailMessage) -> None:
    with PostOffice().open() as port, pytest.raises(ApplianceError, match="no TLS connection") as caught:
        send(message, at(port, "smtps"))
    assert "smtp://" in caught.value.hint


def test_no_server_is_told(message: EmailMessage) -> None:
    with PostOffice().open() as port:
        pass
    with pytest.raises(ApplianceError, match="cannot be reached: Connection refused"):
        send(message, at(port))


def test_a_server_that_hangs_after_the_mail_changes_nothing(
    message: EmailMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "GOODBYE_SECONDS", 0.2)

    class Clinging(PostOffice):
        async def handle_QUIT(self, server: object, session: object, envelope: object) -> str:  # noqa: N802
            return await self._answer(server, "QUIT")  # type: ignore[arg-type]

    office = Clinging(answers={"QUIT": SILENCE})
    with office.open() as port:
        assert send(message, at(port)).accepted == ALL
    assert len(office.received) == 1


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authorities_that_cannot_be_read_are_told(message: EmailMessage, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RefusedError, match=str(file)):
        send(message, at(1), authorities=file)
