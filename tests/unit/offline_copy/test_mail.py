"""To whom the archive is mailed, through which server, and what the mail says."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.log import masked
from ecs_appliance.offline_copy.mail import compose, default_sender, read_addresses
from ecs_appliance.offline_copy.mailserver import MailServer, read_password, read_server

MOMENT = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
NAME = "ecs.example.org.env.2026-03-04_05.06.tar.gz.gpg"
WITH_USER = MailServer("mail.example.org", 587, tls=False, user="ecs")


def test_addresses_stand_in_lines_of_their_own() -> None:
    text = (
        "\ufeff# who keeps it\r\noffice@example.org\r\n\n\t safe+ecs@example.org # locked away\r\nOffice@Example.org\n"
    )
    assert read_addresses(text.encode()) == ("office@example.org", "safe+ecs@example.org")
    assert read_addresses("# Büro\nroot@localhost".encode("latin-1")) == ("root@localhost",)


def test_every_bad_line_is_told_at_once() -> None:
    text = "office@example.org\nno address\nOffice <office@example.org>\n\na@example.org, b@example.org\nx@intranet\n"
    with pytest.raises(RefusedError) as caught:
        read_addresses(text.encode())
    lines = caught.value.message.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"emailto.txt:{number}" for number in (2, 3, 5, 6)]
    assert lines[0].endswith('expected an e-mail address such as name@example.org, found "no address"')


@pytest.mark.parametrize(
    "line",
    [
        "office@example.org\rBcc: other@example.org",
        "office@example.org\x0bBcc: other@example.org",
        "office@example.org\u2028Bcc: other@example.org",
        "office@example.org\0",
        "office@example.org>, <other@example.org",
        "büro@example.org",
        "office@exämple.org",
        ".office@example.org",
        "of..fice@example.org",
        '"of fice"@example.org',
        "office@example..org",
        "office@-example.org",
        "@example.org",
        "office@",
        f"{'o' * 65}@example.org",
        f"office@{'e' * 60}.{'e' * 60}.{'e' * 60}.{'e' * 60}.{'e' * 60}.org",
    ],
)
def test_what_could_harm_a_header_is_no_address(line: str) -> None:
    with pytest.raises(RefusedError, match=r"emailto\.txt:1: expected"):
        read_addresses(line.encode())
    with pytest.raises(RefusedError, match="not a valid sender address"):
        compose(b"", NAME, domain="ecs.example.org", modified=MOMENT, sender=line, recipients=["a@example.org"])


@pytest.mark.parametrize("data", [b"", b"\n# nobody yet\n"])
def test_a_file_without_addresses_is_refused(data: bytes) -> None:
    with pytest.raises(RefusedError, match="contains no address"):
        read_addresses(data)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://localhost", MailServer("localhost", 25, tls=False)),
        ("smtp://ecs@mail.example.org", WITH_USER),
        ("smtp://mail.example.org:2525/", MailServer("mail.example.org", 2525, tls=False)),
        ("smtps://mail.example.org", MailServer("mail.example.org", 465, tls=True)),
        (
            "smtps://ecs%40example.org@mail.example.org",
            MailServer("mail.example.org", 465, tls=True, user="ecs@example.org"),
        ),
        ("smtps://ecs@example.org@192.0.2.1", MailServer("192.0.2.1", 465, tls=True, user="ecs@example.org")),
        ("smtp://[2001:db8::1]:26", MailServer("2001:db8::1", 26, tls=False)),
    ],
)
def test_a_server_is_named_by_a_url(url: str, server: MailServer) -> None:
    assert read_server(url) == server


@pytest.mark.parametrize(
    "url",
    [
        *("", "mail.example.org", "smtp://", "smtp:mail.example.org", "http://mail.example.org", "smtp://mail..org"),
        *("smtp://mail.example.org:0", "smtp://mail.example.org:99999", "smtp://mail.example.org:x"),
        *("smtp://mail.example.org/inbox", "smtp://mail.example.org?tls=no", "smtp://mail.example.org#x"),
        *("smtp://mail.example.org\n", "smtp://mail example.org", "smtp://[::1", "smtp://mäil.example.org"),
    ],
)
def test_what_names_no_server_is_refused(url: str) -> None:
    with pytest.raises(RefusedError, match=r"expected smtp://\[user@\]host\[:port\]"):
        read_server(url)


@pytest.mark.parametrize("url", ["smtp://ecs:hunter2@mail.example.org", "smtps://ecs:@mail.example.org"])
def test_a_password_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(RefusedError, match="must not contain a password: every account") as caught:
        read_server(url)
    assert "ECS_SMTP_PASSWORD" in caught.value.hint
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("host", "here"), [("localhost", True), ("127.0.0.9", True), ("::1", True), ("localhost.example.org", False)]
)
def test_this_machine_is_known_by_its_name(host: str, *, here: bool) -> None:
    assert MailServer(host, 25, tls=False).is_here is here


def test_the_password_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text(" of a file \n")
    environment = {"ECS_SMTP_PASSWORD": "of the environment"}
    assert read_password(WITH_USER, environment) == "of the environment"
    assert read_password(WITH_USER, environment, file) == " of a file "
    assert masked("it is of the environment") == "it is *****"
    assert read_password(MailServer("localhost", 25, tls=False), environment, file) == ""


def test_a_password_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2")
    file.chmod(0o640)
    with pytest.raises(RefusedError, match="other accounts may read it") as caught:
        read_password(WITH_USER, {}, file)
    assert caught.value.hint == f"chmod 600 {file}"


@pytest.mark.parametrize("password", ["pässword", "pass\nword", "pass\0word"])
def test_a_password_that_cannot_be_sent_is_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(RefusedError, match="must be one line of ASCII") as caught:
        read_password(WITH_USER, {"ECS_SMTP_PASSWORD": password})
    assert password not in caught.value.message


def test_a_missing_password_is_told(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"no password for ecs at mail\.example\.org:587"):
        read_password(WITH_USER, {})
    with pytest.raises(RefusedError, match="No such file"):
        read_password(WITH_USER, {}, tmp_path / "none")


@pytest.mark.parametrize(
    ("user", "sender"),
    [("me@example.org", "me@example.org"), ("me", "root@ecs.example.org"), ("", "root@ecs.example.org")],
)
def test_a_user_with_an_address_writes_as_itself(user: str, sender: str) -> None:
    assert default_sender(user, "ecs.example.org") == sender


def test_the_mail_says_what_it_is_and_how_to_open_it() -> None:
    recipients = [f"keeper-{number}@example.org" for number in range(60)]
    message = compose(
        b"sealed", NAME, domain="ecs.example.org", modified=MOMENT, sender="root@ecs.example.org", recipients=recipients
    )
    data = message.as_bytes(policy=policy.SMTP)
    assert max(len(line) for line in data.split(b"\r\n")) <= 998
    read = message_from_bytes(data, policy=policy.default)
    assert read["Subject"] == "ecs.example.org: encrypted configuration of 2026-03-04 05:06"
    assert [each.addr_spec for each in read["To"].addresses] == recipients
    assert read["Message-ID"].endswith("@ecs.example.org>")
    assert read["Date"].datetime.tzinfo is not None
    body = read.get_body()
    assert body is not None
    text = body.get_content()
    assert f"gpg --decrypt {NAME} | tar xz" in text
    assert "last modified 2026-03-04 05:06" in text
    assert max(len(line) for line in text.splitlines()) <= 110
    (attachment,) = read.iter_attachments()
    assert (attachment.get_content_type(), attachment.get_filename()) == ("application/octet-stream", NAME)
    assert attachment.get_payload(decode=True) == b"sealed"
