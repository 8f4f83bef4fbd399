"""Host names, the site's and others, on both ports: a request for another name gets nothing of the site."""

import re

import pytest

from tests.machine.frontend.conftest import Site
from tests.machine.frontend.wire import DOMAIN, Frontend, Http2, status

STRANGER = "stranger.example.org"
CHALLENGES = "/var/lib/dehydrated/acme-challenges"
TOKEN = "aB3_-x" * 7


def ask(host: str, line: str = "GET /probe HTTP/1.1") -> bytes:
    return f"{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


OURS = [
    (DOMAIN, DOMAIN),
    (DOMAIN, f"{DOMAIN}:443"),
    (DOMAIN, f"{DOMAIN}:8443"),
    (DOMAIN, f"{DOMAIN}."),
    (DOMAIN, DOMAIN.upper()),
    (None, DOMAIN),
    (STRANGER, DOMAIN),
]


@pytest.mark.parametrize(("sni", "host"), OURS)
def test_the_sites_own_name_is_served_however_it_is_written(recording: Frontend, sni: str | None, host: str) -> None:
    assert status(recording.raw(ask(host), sni=sni)) == 200
    assert [request.all("host") for request in recording.recorded()] == [[DOMAIN]]


def test_its_address_is_served_too(recording: Frontend) -> None:
    assert status(recording.raw(ask(recording.address), sni=None)) == 200
    assert [request.all("host") for request in recording.recorded()] == [[recording.address]]


STRANGERS = [
    (STRANGER, STRANGER, "GET /probe HTTP/1.1"),
    (None, STRANGER, "GET /probe HTTP/1.1"),
    (None, "localhost", "GET /probe HTTP/1.1"),
    (None, "127.0.0.1", "GET /probe HTTP/1.1"),
    (None, f"{DOMAIN}.{STRANGER}", "GET /probe HTTP/1.1"),
    (None, f"x.{DOMAIN}", "GET /probe HTTP/1.1"),
    (None, "_", "GET /probe HTTP/1.1"),
    (None, DOMAIN, f"GET https://{STRANGER}/probe HTTP/1.1"),
    (STRANGER, STRANGER, "GET /appliance-status.json HTTP/1.1"),
]


@pytest.mark.parametrize(("sni", "host", "line"), STRANGERS)
def test_another_name_is_hung_up_on(recording: Frontend, sni: str | None, host: str, line: str) -> None:
    assert recording.raw(ask(host, line), sni=sni) == b""
    assert recording.recorded() == []


def test_who_names_us_in_the_handshake_and_another_after_it_gets_nothing_of_the_site(recording: Frontend) -> None:
    for host in (STRANGER, recording.address):
        answer = recording.raw(ask(host), sni=DOMAIN)
        assert status(answer) == 421
        assert re.search(rb"<title>421 ", answer)
    assert recording.recorded() == []


def test_over_http2_it_is_the_same(recording: Frontend) -> None:
    def answer(sni: str | None, authority: str) -> int:
        with recording.connect(sni=sni, alpn="h2") as connection:
            protocol = Http2(connection)
            pairs = ((":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", "/probe"))
            return protocol.status(protocol.send(pairs))

    assert answer(DOMAIN, f"{DOMAIN}:443") == 200
    assert [request.all("host") for request in recording.recorded()] == [[DOMAIN]]
    assert answer(STRANGER, STRANGER) == 0
    assert answer(None, STRANGER) == 0
    assert answer(DOMAIN, STRANGER) == 421
    assert recording.recorded() == []


def test_a_strangers_name_with_a_bad_certificate_is_hung_up_on_too(recording: Frontend, site: Site) -> None:
    site.demo.sh("openssl req -x509 -nodes -newkey rsa:2048 -subj /CN=x -keyout /run/x.pem -out /run/x.crt 2>/dev/null")
    fetch = f"curl -sk --cert /run/x.crt --key /run/x.pem -o /dev/null -w '%{{http_code}}' -H 'Host: {STRANGER}'"
    assert site.demo.sh(f"{fetch} https://127.0.0.1/ || true") == "000"
    assert site.demo.sh(f"{fetch.replace(STRANGER, DOMAIN)} https://127.0.0.1/") == "403"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_plain_http_leads_to_https(recording: Frontend, method: str) -> None:
    for host in (DOMAIN, f"{DOMAIN}:80", DOMAIN.upper()):
        answer = recording.plain(ask(host, f"{method} /a%20b?c=d HTTP/1.1"))
        assert status(answer) == 301
        assert f"\r\nLocation: https://{DOMAIN}/a%20b?c=d\r\n".encode() in answer
        assert b"nginx/" not in answer
    assert recording.recorded() == []


def test_plain_http_by_another_name_is_hung_up_on(recording: Frontend) -> None:
    for request in (
        ask(STRANGER),
        ask("127.0.0.1"),
        b"GET / HTTP/1.0\r\n\r\n",
        ask(DOMAIN, f"GET http://{STRANGER}/ HTTP/1.1"),
    ):
        assert recording.plain(request) == b""


def test_an_acme_servers_question_is_answered_on_port_80_from_the_clients_folder_alone(
    recording: Frontend, site: Site
) -> None:
    def answer(path: str) -> bytes:
        return recording.plain(ask(DOMAIN, f"GET /.well-known/acme-challenge/{path} HTTP/1.1"))

    site.demo.sh(
        f"install -d {CHALLENGES}; cd {CHALLENGES}; echo proof > {TOKEN}; echo page > page.html; mkfifo pipe;"
        "mkdir -p folder; ln -sf /etc/passwd link; ln -sfn / root"
    )
    try:
        good = answer(TOKEN)
        assert status(good) == 200
        assert good.endswith(b"\r\n\r\nproof\n")
        assert b"\r\nContent-Type: text/plain\r\n" in good
        for path in ("missing", "link", "pipe"):
            assert status(answer(path)) in (403, 404), path
        for path in (
            "folder",
            "root/etc/passwd",
            "page.html",
            "",
            f"{TOKEN}/",
            "../../../../etc/passwd",
            "..%2f..%2fpasswd",
        ):
            assert status(answer(path)) in (301, 400), path
    finally:
        site.demo.sh(f"cd {CHALLENGES}; rm -rf {TOKEN} page.html pipe folder link root")
    assert recording.recorded() == []
