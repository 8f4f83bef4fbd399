"""More than thirty ways to smuggle headers or requests to the application; only what nginx sets gets through."""

import re
from dataclasses import dataclass, field

import pytest

from tests.machine.frontend.wire import DOMAIN, SESSION, Frontend, Http2, Recorded, status

HEAD = f"Host: {DOMAIN}\r\n"
CLOSE = "Connection: close\r\n"
LIES = (
    ("X-Real-IP", "6.6.6.6"),
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Port", "6666"),
    ("X-Ssl-Client-Verify", "SUCCESS"),
    ("X-Ssl-Client-Serial", "6666"),
)
# Headers that other servers and frameworks trust.
STRANGERS = (
    *("Forwarded", "Via", "Proxy", "True-Client-IP", "X-Client-IP", "X-Forwarded-Host", "X-Forwarded-Server"),
    *("X-Forwarded-Ssl", "X-Forwarded-Scheme", "X-Forwarded-Prefix", "X-Original-URL", "X-Rewrite-URL", "X-Host"),
    *("X-HTTP-Method-Override", "X-Script-Name", "Front-End-Https", "X-Original-Host", "X-Url-Scheme"),
    *("Remote-User", "X-Remote-User", "X-Forwarded-User", "X-Forwarded-Client-Cert", "Ssl-Client-Verify"),
    *("X-Auth-Request-Email", "X-Webauth-User", "Authorization", "Proxy-Authorization", "X-Whatever-Comes-Next"),
)
# Headers that the application relies on.
PASSED = (
    ("accept", "text/html"),
    ("accept-language", "de-AT,de;q=0.9"),
    ("cache-control", "no-cache"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("cookie", "csrftoken=a; sessionid=b"),
    ("if-modified-since", "Sat, 28 Nov 2026 10:00:00 GMT"),
    ("if-none-match", '"1", W/"2"'),
    ("if-range", '"1"'),
    ("origin", f"https://{DOMAIN}"),
    ("range", "bytes=0-9,20-"),
    ("referer", f"https://{DOMAIN}/accounts/login/"),
    ("sec-fetch-site", "same-origin"),
    ("soapaction", '"urn:sign"'),
    ("user-agent", "probe/1.0"),
    ("x-csrftoken", "a-b_c"),
    ("x-requested-with", "XMLHttpRequest"),
)
LIE = re.compile(r"6\.6\.6\.6|6666|SUCCESS|l-i-e", re.IGNORECASE)


def lines(pairs: tuple[tuple[str, str], ...]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in pairs)


def get(more: str, line: str = "GET /probe HTTP/1.1") -> str:
    return f"{line}\r\n{HEAD}{CLOSE}{more}\r\n"


def post(more: str, body: str) -> str:
    return f"POST /probe HTTP/1.1\r\n{HEAD}{CLOSE}{more}\r\n{body}"


@dataclass(frozen=True)
class Probe:
    """A request, and which of it may reach the application; anything else that arrives was smuggled."""

    sent: str
    reaches: tuple[str, ...] = ("GET /probe",)
    body: str = ""
    statuses: frozenset[int] = field(default=frozenset({200}))


def refused(sent: str) -> Probe:
    """Return a probe that nginx has to answer itself."""
    return Probe(sent, reaches=(), statuses=frozenset({400, 403, 404, 405, 411, 413, 414, 421, 501}))


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: l-i-e\r\n\r\n"
# Only known sessions may omit the length of a body.
CHUNKED = f"Cookie: {SESSION}\r\nTransfer-Encoding: chunked\r\n"
ONCE = ("POST /probe",)
PROBES: dict[str, Probe] = {
    "every trusted header": Probe(get(lines(LIES))),
    "every trusted header twice": Probe(get(lines((*LIES, *LIES)))),
    "in upper case": Probe(get(lines(LIES).upper())),
    "in lower case": Probe(get(lines(LIES).lower())),
    "with underscores": Probe(get(lines(tuple((name.replace("-", "_"), value) for name, value in LIES)))),
    "half underscores": Probe(get("X_Ssl-Client_Verify: SUCCESS\r\nX-Real_IP: 6.6.6.6\r\n")),
    "with dots": Probe(get(lines(tuple((name.replace("-", "."), value) for name, value in LIES)))),
    "what others believe": Probe(get(lines(tuple((name, "l-i-e") for name in STRANGERS)))),
    "an empty verdict": Probe(get("X-Ssl-Client-Verify:\r\nX-Ssl-Client-Verify: SUCCESS\r\n")),
    "named by Connection": Probe(
        f"GET /probe HTTP/1.1\r\n{HEAD}Connection: close, X-Ssl-Client-Verify, X-Real-IP\r\n{lines(LIES)}\r\n"
    ),
    "a blank before the colon": refused(get("X-Ssl-Client-Verify : SUCCESS\r\n")),
    "a folded line": refused(get("X-Harmless: a\r\n X-Ssl-Client-Verify: SUCCESS\r\n")),
    "a header of NUL": refused(get("X-Harmless: a\0X-Ssl-Client-Verify: SUCCESS\r\n")),
    "a carriage return alone": refused(get("X-Harmless: a\rX-Ssl-Client-Verify: SUCCESS\r\n")),
    "line feeds alone": Probe(f"GET /probe HTTP/1.1\nHost: {DOMAIN}\nConnection: close\nX-Real-IP: 6.6.6.6\n\n"),
    "an absolute address": Probe(get(lines(LIES), f"GET https://{DOMAIN}/probe HTTP/1.1")),
    "a host in capitals with a port": Probe(f"GET /probe HTTP/1.1\r\nHost: {DOMAIN.upper()}:6666\r\n{CLOSE}\r\n"),
    "two hosts": refused(get("Host: l-i-e.example.org\r\n")),
    "no host": refused(f"GET /probe HTTP/1.1\r\n{CLOSE}\r\n"),
    "a host with a path": refused(f"GET /probe HTTP/1.1\r\nHost: {DOMAIN}/l-i-e\r\n{CLOSE}\r\n"),
    "HTTP/1.0": Probe(f"GET /probe HTTP/1.0\r\n{HEAD}{lines(LIES)}\r\n"),
    "HTTP/0.9": Probe("GET /probe\r\n", reaches=(), statuses=frozenset({0, 400})),
    "length and chunks (CL.TE)": refused(post(f"Content-Length: 6\r\n{CHUNKED}", f"0\r\n\r\n{SMUGGLED}")),
    "chunks and length (TE.CL)": refused(post(f"{CHUNKED}Content-Length: 4\r\n", f"5c\r\n{SMUGGLED}0\r\n\r\n")),
    "chunked twice (TE.TE)": refused(post(f"{CHUNKED}Transfer-Encoding: x\r\n", f"0\r\n\r\n{SMUGGLED}")),
    "chunked, disguised": refused(post("Transfer-Encoding: xchunked\r\n", f"0\r\n\r\n{SMUGGLED}")),
    "chunked by tab": refused(post("Transfer-Encoding:\tchunked\r\n", f"0\r\n\r\n{SMUGGLED}")),
    "chunked, by an underscore": Probe(
        post("Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", "0\r\n\r\n"), ONCE, body="0\r\n\r\n"
    ),
    "two lengths": refused(post("Content-Length: 3\r\nContent-Length: 60\r\n", f"abc{SMUGGLED}")),
    "two equal lengths": refused(post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc")),
    "a list of lengths": refused(post("Content-Length: 3, 60\r\n", f"abc{SMUGGLED}")),
    "a length with a sign": refused(post("Content-Length: +3\r\n", "abc")),
    "a length beyond all": refused(post(f"Content-Length: 1{'0' * 30}\r\n", "abc")),
    "a chunk's extension": Probe(post(CHUNKED, "3;l-i-e=6666\r\nabc\r\n0\r\n\r\n"), ONCE, body="abc"),
    "a chunk's size with a sign": refused(post(CHUNKED, "+3\r\nabc\r\n0\r\n\r\n")),
    "a chunk's size beyond all": refused(post(CHUNKED, "fffffffffffffffff\r\nabc\r\n0\r\n\r\n")),
    "a trailer": Probe(post(CHUNKED, "3\r\nabc\r\n0\r\nX-Ssl-Client-Verify: SUCCESS\r\n\r\n"), ONCE, body="abc"),
    "more after the last chunk": Probe(post(CHUNKED, f"3\r\nabc\r\n0\r\n\r\n{SMUGGLED}"), ONCE, body="abc"),
    "a body where none is due": Probe(get(f"Content-Length: {len(SMUGGLED)}\r\n") + SMUGGLED, body=SMUGGLED),
    "an upgrade": Probe(
        f"GET /probe HTTP/1.1\r\n{HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ),
    "an upgrade to h2c": Probe(
        f"GET /probe HTTP/1.1\r\n{HEAD}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: AAMAAABk\r\n\r\n"
    ),
    "TRACE": refused(get("", "TRACE /probe HTTP/1.1")),
    "CONNECT": refused(get("", "CONNECT internal:22 HTTP/1.1")),
    "a method in lower case": refused(get("", "get /probe HTTP/1.1")),
    "a NUL in the path": refused(get("", "GET /probe\0 HTTP/1.1")),
    "an encoded NUL": refused(get("", "GET /probe%00 HTTP/1.1")),
    "a head of 64 KB": refused(get(f"X-Harmless: {'a' * 65536}\r\n")),
    "above the root": refused(get("", "GET /../../etc/passwd HTTP/1.1")),
}


@pytest.mark.parametrize("name", PROBES)
def test_what_is_sent_under_anothers_name_does_not_arrive(recording: Frontend, name: str) -> None:
    probe = PROBES[name]
    answer = recording.raw(probe.sent.encode("latin-1"))
    arrived = recording.recorded()
    assert [f"{request.method} {request.target}" for request in arrived] == list(probe.reaches)
    for request in arrived:
        check_headers(recording, request)
        assert request.body == probe.body
    assert status(answer) in probe.statuses


def check_headers(frontend: Frontend, request: Recorded) -> None:
    """Assert that the headers identifying the client are the ones set by nginx."""
    told = {
        "host": [DOMAIN],
        "x-real-ip": [frontend.client_address],
        "x-forwarded-for": [frontend.client_address],
        "x-forwarded-proto": ["https"],
        "x-forwarded-port": ["443"],
        "x-ssl-client-verify": ["NONE"],
        "x-ssl-client-serial": [],
    }
    assert {name: request.all(name) for name in told} == told
    assert [field for field in request.fields if LIE.search(" ".join(field))] == []
    hop_by_hop = {"upgrade", "http2-settings", "te", "transfer-encoding", "connection"}
    assert [name for name, value in request.fields if name in hop_by_hop and value] == []
    named = {name for name, _ in request.fields}
    assert not named & {name.lower() for name in STRANGERS}
    assert not [name for name in named if "_" in name or "." in name]


BASE = ((":method", "GET"), (":scheme", "https"), (":authority", DOMAIN), (":path", "/probe"))
H2_PROBES: dict[str, tuple[tuple[tuple[str, str], ...], bool]] = {
    "every trusted header": ((*BASE, *((name.lower(), value) for name, value in LIES)), True),
    "every trusted header twice": ((*BASE, *(((name.lower(), value) for name, value in (*LIES, *LIES)))), True),
    "what others believe": ((*BASE, *((name.lower(), "l-i-e") for name in STRANGERS)), True),
    "with underscores": ((*BASE, *((name.lower().replace("-", "_"), value) for name, value in LIES)), True),
    "in upper case": ((*BASE, *LIES), False),
    "a line break in a value": ((*BASE, ("x-harmless", "a\r\nx-ssl-client-verify: SUCCESS")), False),
    "a line feed in a value": ((*BASE, ("x-harmless", "a\nx-ssl-client-verify: SUCCESS")), False),
    "a line break in a name": ((*BASE, ("x-harmless: a\r\nx-ssl-client-verify", "SUCCESS")), False),
    "a colon in a name": ((*BASE, ("x-ssl-client-verify:", "SUCCESS")), False),
    "a request in the path": ((*BASE[:3], (":path", "/probe HTTP/1.1\r\nx-real-ip: 6.6.6.6\r\n\r\n")), False),
    "a request in the method": (((":method", "GET /smuggled HTTP/1.1\r\nhost: l-i-e\r\n\r\nGET"), *BASE[1:]), False),
    "another host": ((*BASE, ("host", "l-i-e.example.org")), False),
    "two authorities": ((*BASE, (":authority", "l-i-e.example.org")), False),
    "two paths": ((*BASE, (":path", "/smuggled")), False),
    "a pseudo-header at the end": ((*BASE[:3], ("x-harmless", "a"), BASE[3]), True),
    "an unknown pseudo-header": ((*BASE, (":protocol", "websocket")), False),
    "transfer-encoding": ((*BASE, ("transfer-encoding", "chunked")), True),
    "connection": ((*BASE, ("connection", "x-ssl-client-verify")), True),
}


@pytest.mark.parametrize("name", H2_PROBES)
def test_nor_does_it_over_http2(recording: Frontend, name: str) -> None:
    headers, passes = H2_PROBES[name]
    with recording.connect(alpn="h2") as connection:
        assert connection.selected_alpn_protocol() == "h2"
        protocol = Http2(connection)
        answered = protocol.status(protocol.send(headers))
    arrived = recording.recorded()
    assert [f"{request.method} {request.target}" for request in arrived] == (["GET /probe"] if passes else [])
    for request in arrived:
        check_headers(recording, request)
    assert answered == 200 if passes else answered in (0, 400)


def test_what_the_application_goes_by_arrives_as_it_was_sent(recording: Frontend) -> None:
    answer = recording.raw(post(f"Content-Length: 3\r\n{lines(PASSED)}", "abc").encode())
    assert status(answer) == 200
    with recording.connect(alpn="h2") as connection:
        protocol = Http2(connection)
        # A browser sends each cookie in a header of its own.
        cookies = (("cookie", "csrftoken=a"), ("cookie", "sessionid=b"))
        pairs = (*((":method", "POST"), *BASE[1:]), *(pair for pair in PASSED if pair[0] != "cookie"), *cookies)
        assert protocol.status(protocol.send((*pairs, ("content-length", "3")), b"abc")) == 200
    arrived = recording.recorded()
    assert len(arrived) == 2
    for request in arrived:
        assert {name: request.all(name) for name, _ in PASSED} == {name: [value] for name, value in PASSED}
        assert (request.all("content-length"), request.body) == (["3"], "abc")
