"""Attacks by strangers on the internet: fill the disk, lock others out, learn about the machine."""

import ssl
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.machine.frontend.conftest import People, Site
from tests.machine.frontend.wire import DOMAIN, FORGED, SESSION, Frontend, Http2, status

# The files for bodies are unlinked: only nginx's processes still refer to them.
BODIES = "find /proc/[0-9]*/fd -lname '/var/lib/nginx/body/*' 2>/dev/null | wc -l"
HELD = 45
BELOW_TEN_MEGABYTES = 9_999_999
FAILED = """
from ecs_appliance.core.paths import Paths
from ecs_appliance.reporting.status import StatusPage
StatusPage(Paths()).fail("/app/ecs at 4192424: password of role app refused", "rm /run/appliance-failed")
"""
HIDE = "rm -f /var/www/html/503.html /var/www/html/status.json /var/www/html/visitors.json"
PYTHON = "/app/appliance/.venv/bin/python"


def head(length: str, cookie: str = "", method: str = "POST", path: str = "/documents/new/") -> bytes:
    shown = f"Cookie: {cookie}\r\n" if cookie else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {DOMAIN}\r\n{shown}{length}\r\n\r\n".encode()


def answers(connections: list[ssl.SSLSocket]) -> Counter[int]:
    """Count the statuses received so far; 0 if there is none yet."""
    seen: Counter[int] = Counter()
    for connection in connections:
        connection.settimeout(0.05)
        try:
            seen[status(connection.recv(65536))] += 1
        except OSError:
            seen[0] += 1
    return seen


def hold(frontend: Frontend, stack: ExitStack, sent: bytes, count: int) -> list[ssl.SSLSocket]:
    """Open `count` connections that send `sent` and then stay open."""
    connections = [stack.enter_context(frontend.connect()) for _ in range(count)]
    for connection in connections:
        connection.sendall(sent)
    time.sleep(1)
    return connections


@pytest.mark.parametrize("cookie", ["", FORGED, "sessionid=barred", f"other={SESSION[10:]}"])
def test_who_is_not_known_puts_no_byte_on_the_disk(recording: Frontend, site: Site, cookie: str) -> None:
    """45 uploads just below 10 MB that never finish would otherwise occupy the disk for as long as they like."""
    with ExitStack() as stack:
        sent = head(f"Content-Length: {BELOW_TEN_MEGABYTES}", cookie) + b"x" * 300_000
        refused = hold(recording, stack, sent, HELD)
        assert site.demo.sh(BODIES) == "0"
        assert answers(refused) == {403: HELD}
    assert recording.recorded() == []


def test_nor_by_any_other_way(recording: Frontend, site: Site) -> None:
    chunk = b"493e0\r\n" + b"x" * 0x493E0 + b"\r\n"
    ways = {
        "in chunks": head("Transfer-Encoding: chunked") + chunk,
        "as what stays in memory": head("Content-Length: 99999") + b"x" * 99_998,
        "to the login": head("Content-Length: 99999", path="/accounts/login/") + b"x" * 99_998,
        "behind a GET": head("Content-Length: 999", method="GET") + b"x" * 998,
        "behind a GET in chunks": head("Transfer-Encoding: chunked", method="GET") + chunk,
        "to the signer": head("Content-Length: 9000000", path="/pdf-as-web/Sign") + b"x" * 300_000,
        "to the signer in chunks": head("Transfer-Encoding: chunked", path="/pdf-as-web/Sign") + chunk,
        "to the signer behind a GET": head("Transfer-Encoding: chunked", method="GET", path="/bkuonline/x") + chunk,
        "as a document to be signed": head("Content-Length: 99999", path="/signature/send/7/") + b"x" * 99_998,
    }
    with ExitStack() as stack:
        for way, sent in ways.items():
            hold(recording, stack, sent, 2)
            assert site.demo.sh(BODIES) == "0", way
        for method, path in (("POST", "/"), ("GET", "/"), ("POST", "/pdf-as-web/Sign"), ("GET", "/pdf-as-web/Sign")):
            protocol = Http2(stack.enter_context(recording.connect(alpn="h2")))
            pairs = ((":method", method), (":scheme", "https"), (":authority", DOMAIN), (":path", path))
            stream = protocol.send(pairs, end=False)
            for _ in range(20):
                protocol.send_body(stream, b"x" * 16384)
            assert site.demo.sh(BODIES) == "0", (method, path)
    assert recording.recorded() == []


def test_who_holds_uploads_without_a_session_keeps_nobody_out(recording: Frontend, site: Site) -> None:
    """Forty connections send one byte and wait; users with a session get through, even from the same address."""
    with ExitStack() as stack:
        hold(recording, stack, head("Content-Length: 20000000", FORGED) + b"x", 40)
        with recording.client() as client:
            for size in (1_000_000, 20_000_000):
                answer = client.post("/documents/new/", content=b"x" * size, headers={"Cookie": SESSION})
                assert answer.status_code == 200, size
    assert [request.length for request in recording.recorded()] == [1_000_000, 20_000_000]


def test_with_a_session_or_a_certificate_bodies_pass_as_they_were_sent(recording: Frontend, people: People) -> None:
    chunk = b"30d40\r\n" + b"x" * 0x30D40 + b"\r\n"
    chunked = head("Transfer-Encoding: chunked\r\nConnection: close", SESSION) + chunk + b"0\r\n\r\n"
    assert status(recording.raw(chunked, patience=5)) == 200
    with recording.client(people.make("sender")) as client:
        assert client.post("/a%2Fb/?c=d%3F", content=b"x" * 2_000_000).status_code == 200
    with recording.client(http2=True) as client:
        answer = client.put("/a%2Fb/?c=d%3F", content=b"x" * 2_000_000, headers={"Cookie": f"a=b; {SESSION}"})
        assert answer.status_code == 200
    arrived = [(request.method, request.target, request.length) for request in recording.recorded()]
    assert arrived == [
        ("POST", "/documents/new/", 200_000),
        ("POST", "/a%2Fb/?c=d%3F", 2_000_000),
        ("PUT", "/a%2Fb/?c=d%3F", 2_000_000),
    ]


def test_a_stranger_is_told_to_log_in(recording: Frontend) -> None:
    with recording.client() as client:
        answer = client.post("/documents/new/", content=b"x" * 200_000, headers={"Accept-Language": "de-AT,en;q=0.5"})
    assert answer.status_code == 403
    assert "Bitte melden Sie sich zuerst an" in answer.text
    assert '<html lang="de">' in answer.text


@pytest.fixture
def failed(recording: Frontend, site: Site) -> Iterator[None]:
    """Take the site down with a failure whose details would be revealing."""
    assert site.demo.exec([PYTHON, "-"], data=FAILED).returncode == 0
    yield
    site.demo.sh(HIDE)


def test_a_visitor_learns_nothing_of_the_machine(recording: Frontend, site: Site, people: People, failed: None) -> None:
    with recording.client() as client:
        page, public = client.get("/"), client.get("/appliance-status.json")
        unseen = [client.get(path).text for path in ("/status.json", "/appliance-status.json?full=1", "/visitors.json")]
    assert (page.status_code, public.status_code) == (503, 200)
    for text in (page.text, public.text, *unseen):
        for word in ("/app", "4192424", "password", "/run", " rm ", "appliance-failed"):
            assert word not in text, word
    assert public.json().keys() == {"kind", "headline", "headline_de", "since", "until"}
    assert page.headers.get_list("content-security-policy")[0].startswith("default-src 'none'; ")
    with recording.client(people.make("looker")) as client:
        shown = client.get("/appliance-status.json").json()
    assert shown["error"] == "/app/ecs at 4192424: password of role app refused"
    assert shown["next"] == "rm /run/appliance-failed"


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("fr,en;q=0.5", "en"),
        ("fr,it", "de"),
        (None, "de"),
    ],
)
def test_a_visitor_reads_its_own_language_first(
    recording: Frontend, failed: None, asked: str | None, first: str
) -> None:
    with recording.client() as client:
        page = client.get("/", headers={"Accept-Language": asked} if asked else {})
    assert f'<html lang="{first}">' in page.text
    assert DOMAIN in page.text
    assert "This site is not available" in page.text
    assert "Diese Seite ist nicht erreichbar" in page.text


def test_who_found_a_hole_reads_whom_to_tell_and_a_visitor_whom_to_ask(site: Site) -> None:
    site.put_behind("recorder")
    before = site.demo.machine.guest.pull("/app/env.yml")

    def name(env: dict[str, dict[str, str]]) -> None:
        env["appliance"]["security_contact"] = "cert@example.org"
        env["appliance"]["contact"] = "Büro <der> Kommission, +43 1 23"

    site.demo.edit_env(name)
    try:
        site.demo.sh("env-update.sh; appliance converge", timeout=240)
        with site.frontend.client() as client:
            told = client.get("/.well-known/security.txt")
        assert told.status_code == 200
        assert told.headers["content-type"] == "text/plain; charset=utf-8"
        lines = dict(line.split(": ", 1) for line in told.text.splitlines())
        expires = time.mktime(time.strptime(lines.pop("Expires"), "%Y-%m-%dT%H:%M:%SZ"))
        assert 180 < (expires - time.time()) / 86400 < 366
        assert lines == {
            "Contact": "mailto:cert@example.org",
            "Preferred-Languages": "de, en",
            "Canonical": f"https://{DOMAIN}/.well-known/security.txt",
        }
        held = site.demo.sh("cat /var/www/html/unavailable.html")
        assert held.count("Büro &lt;der&gt; Kommission, +43 1 23") == 2
    finally:
        site.demo.machine.guest.push("/app/env.yml", before, mode=0o600)
        site.demo.sh("env-update.sh; appliance converge", timeout=240)
    site.frontend.recorded()
    assert site.frontend.get_status(path="/.well-known/security.txt") == 200
    assert [request.target for request in site.frontend.recorded()] == ["/.well-known/security.txt"]
