"""What real servers present: TLS from the start, STARTTLS, or nothing."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from ecs_appliance.tls import probe
from ecs_appliance.tls.credentials import Credentials, read_credentials
from ecs_appliance.tls.probe import Endpoint, ProbeResult
from ecs_appliance.tls.selection import Selection
from tests.authorities import Authority

NAME = "www.example.org"
ISSUER = Authority()
DEPLOYED = read_credentials(*ISSUER.server(NAME))
OTHER = read_credentials(*ISSUER.server(NAME))
SELECTIONS = [Selection(NAME, "acme", DEPLOYED), Selection("192.0.2.1", "snakeoil", OTHER)]


def context_of(credentials: Credentials, folder: Path) -> ssl.SSLContext:
    file = folder / "server.pem"
    file.write_text(credentials.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@contextmanager
def tls_server(context: ssl.SSLContext | None) -> Iterator[int]:
    """Run a server that starts TLS, or that sends nothing and closes without a `context`; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, context), daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _serve(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            accepted = listener.accept()[0]
        except OSError:
            return
        with accepted:
            try:
                if context:
                    context.wrap_socket(accepted, server_side=True).close()
            except OSError:
                pass


@contextmanager
def mail_server(context: ssl.SSLContext | None) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    controller = Controller(Sink(), hostname="127.0.0.1", port=port, tls_context=context)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def look(site: int, mail: Endpoint) -> dict[int, str]:
    seen = probe.probe(SELECTIONS, site=Endpoint(site, "tls", needed=True), mail=[mail])
    assert {each.name for each in seen} == {NAME}
    return {each.port: each.problem for each in seen}


def test_what_is_deployed_is_served_by_tls_and_by_starttls(tmp_path: Path) -> None:
    context = context_of(DEPLOYED, tmp_path)
    with tls_server(context) as site, mail_server(context) as mail:
        assert look(site, Endpoint(mail, "smtp")) == {site: "", mail: ""}


def test_another_certificate_is_seen_at_each_port(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with (
        tls_server(context_of(OTHER, tmp_path)) as site,
        mail_server(context_of(OTHER, tmp_path / "old")) as mail,
    ):
        seen = look(site, Endpoint(mail, "smtp"))
    assert set(seen.values()) == {"the served certificate is not the deployed one"}
    assert len(seen) == 2


def test_a_site_that_nobody_serves_is_told_and_a_mail_server_that_is_not_there_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = int(probe.getsockname()[1])
    assert look(free, Endpoint(free, "tls")) == {free: "nothing is listening there"}


def test_ports_without_tls_are_told() -> None:
    with tls_server(None) as site, mail_server(None) as mail:
        seen = look(site, Endpoint(mail, "smtp"))
    assert all(problem.startswith("no TLS there") for problem in seen.values())
    assert len(seen) == 2


def test_what_settles_in_time_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "POLL_SECONDS", 0)
    answers = [[ProbeResult(NAME, 443, "another")], [ProbeResult(NAME, 443)]]
    assert probe.probe_until_stable(lambda: answers.pop(0)) == [ProbeResult(NAME, 443)]
    assert probe.probe_until_stable(lambda: [ProbeResult(NAME, 443, "x")], seconds=0) == [ProbeResult(NAME, 443, "x")]
