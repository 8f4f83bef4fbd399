"""Client certificates: on sites where they are mandatory or optional, over both protocols and all versions of TLS."""

import itertools
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.authorities import Authority
from tests.machine.frontend.conftest import People, Site
from tests.machine.frontend.wire import DOMAIN, Frontend, Identity, status

GOOD, NONE = "good", "none"
NOT_OURS = ("Your certificate is not from this site", "Ihr Zertifikat gehört nicht zu dieser Seite")
# What the page says, in both languages.
TOLD = {
    NONE: ("This site needs your certificate", "Diese Seite verlangt Ihr Zertifikat"),
    "foreign": NOT_OURS,
    "namesake": NOT_OURS,
    "self-made": NOT_OURS,
    "expired": ("Your certificate has expired", "Ihr Zertifikat ist abgelaufen"),
    "revoked": ("Your certificate has been revoked", "Ihr Zertifikat wurde widerrufen"),
    "not-yet-valid": ("Your certificate is not valid yet", "Ihr Zertifikat ist noch nicht gültig"),
}
BAD = tuple(kind for kind in TOLD if kind != NONE)
WAYS = tuple(itertools.product((False, True), (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)))
PATHS = (
    "/",
    "/accounts/login/",
    "/static/a.css",
    "/signature/send/7/",
    "/pdf-as-web/",
    "/appliance-status.json",
    "/a?b",
)
SESSIONS = Path(__file__).with_name("sessions.sh")
SESSION_WAYS = ("-tls1_2-no_ticket", "-tls1_2", "-tls1_3")
Identities = Mapping[str, Identity | None]


@pytest.fixture(scope="module")
def identities(site: Site, people: People, soon: Callable[[Callable[[], bool], float], float]) -> Identities:
    """One identity of each kind; nginx's list contains the revoked one."""
    site.put_behind("recorder")
    namesake = Authority("namesake")
    namesake.certificate = people.authority.certificate
    made = {
        GOOD: people.make(GOOD),
        "foreign": people.make("foreign", Authority("stranger")),
        "namesake": people.make("namesake", namesake),
        "self-made": people.make("self-made", Authority("self-made")),
        "expired": people.make("expired", days=(-30, -1)),
        "revoked": people.make("revoked"),
        "not-yet-valid": people.make("not-yet-valid", days=(1, 30)),
    }
    people.revoke(site.demo, made["revoked"])
    soon(lambda: site.frontend.get_status(made["revoked"]) == 403, 10)
    return {**made, NONE: None}


@pytest.fixture
def mandatory(site: Site) -> Frontend:
    return site.recording(certificates=True)


def answers(frontend: Frontend, identity: Identity | None, path: str = "/probe", method: str = "GET") -> set[int]:
    """Return the statuses over all combinations of HTTP/1.1 and HTTP/2, TLS 1.2 and 1.3."""
    seen = set()
    for http2, version in WAYS:
        with frontend.client(identity, http2=http2, version=version) as client:
            answer = client.request(method, path)
            assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            seen.add(answer.status_code)
    return seen


def check_good(frontend: Frontend, identities: Identities) -> None:
    """Assert that a good certificate is accepted in all ways, and that the application receives its serial."""
    good = identities[GOOD]
    assert good is not None
    assert answers(frontend, good) == {200}
    assert verdicts(frontend) == [(["SUCCESS"], [good.serial])] * len(WAYS)


def verdicts(frontend: Frontend) -> list[tuple[list[str], list[str]]]:
    """Return the verdict and the serial that the application received with each request."""
    return [(one.all("x-ssl-client-verify"), one.all("x-ssl-client-serial")) for one in frontend.recorded()]


def check_refused(frontend: Frontend, identities: Identities, kind: str) -> None:
    """Assert that the certificate `kind` is refused on every path, with an explanation, and nothing gets through."""
    for path, method in (*((path, "GET") for path in PATHS), ("/probe", "POST")):
        with frontend.client(identities[kind]) as client:
            answer = client.request(method, path)
        assert answer.status_code == 403
        assert all(text in answer.text for text in TOLD[kind])
        assert answer.headers["strict-transport-security"] == "max-age=63072000"
        assert answer.headers["cache-control"] == "no-store"
    assert answers(frontend, identities[kind]) == {403}
    assert frontend.recorded() == []


def test_a_mandatory_site_lets_in_who_has_a_good_certificate(mandatory: Frontend, identities: Identities) -> None:
    check_good(mandatory, identities)


@pytest.mark.parametrize("kind", BAD)
def test_a_mandatory_site_refuses_every_bad_one(mandatory: Frontend, identities: Identities, kind: str) -> None:
    check_refused(mandatory, identities, kind)


def test_a_mandatory_site_refuses_who_has_none(mandatory: Frontend, identities: Identities) -> None:
    assert answers(mandatory, None) == {403}
    for path in PATHS:
        with mandatory.client() as client:
            answer = client.get(path)
        # It shows the state of the machine, not of the application.
        assert answer.status_code == (404 if path == "/appliance-status.json" else 403), path
        assert answer.status_code == 404 or all(text in answer.text for text in TOLD[NONE])
    assert mandatory.recorded() == []


@pytest.mark.parametrize("certificates", [True, False], ids=["mandatory", "optional"])
def test_a_session_is_never_resumed_whoever_offers_it(site: Site, identities: Identities, certificates: bool) -> None:
    """By session ID, ticket and TLS 1.3 PSK, with sessions that another server with our certificate does resume."""
    site.demand(certificates)
    guest, folder = site.demo.machine.guest, "/run/sessions"
    for kind, identity in identities.items():
        guest.push(f"{folder}/{kind}.pem", identity.file.read_text() if identity else "", mode=0o600)
    guest.push(f"{folder}.sh", SESSIONS.read_text())
    said = site.demo.sh(f"sh {folder}.sh {folder} {DOMAIN}; rm -rf {folder}", timeout=120)
    seen = [line.split() for line in said.splitlines()]
    assert {(kind, way) for kind, way, *_ in seen} == set(itertools.product(identities, SESSION_WAYS))
    for kind, way, control, ours, kept, code in seen:
        passes = kind == GOOD or (kind == NONE and not certificates)
        # Only because the other server resumes the session does the offer count.
        assert (control, ours, kept) == ("Reused", "New", "no"), (kind, way)
        assert code == ("200" if passes else "403"), (kind, way)


# Requests for a document to sign, and others that only look like one.
TRICKS = (
    *("/signature/send/", "/signature/send", "/signature/send/7", "/signature/send//", "/signature/send/7/8/"),
    *("/signature/send/../../", "/signature/send/../../accounts/login/", "/signature/send/7/../../../"),
    *("/signature/send/%2e%2e/%2e%2e/", "/signature/send/7/%2e%2e/%2e%2e/%2e%2e/", "/signature/send/%252e%252e/"),
    *("/signature/send/..;/..;/", "/signature/send/7;/../../", "/signature/send/;x/", "/signature/send/7;x=y/"),
    *("/signature/send/..%2f..%2f/", "/signature/send/%2e%2e%2f7/", "/signature/send/..%5c/", "/signature/send/7%2f8/"),
    *("/Signature/Send/7/", "/SIGNATURE/SEND/7/", "/signature/send/7/x", "/signature/send/7%00/", "/signature/send/./"),
    *("/signature/send/7/%3f", "/signature/send/7%23/", "/signature/send/%0d%0aX:y/"),
    *(
        "/accounts/login/?/signature/send/7/",
        "/accounts/login/#/signature/send/7/",
        "/accounts/login/;/signature/send/7/",
    ),
    *("/signature/receive/7/", "/x/signature/send/7/", "//x/signature/send/7/"),
)


def ask_from_inside(site: Site, paths: tuple[str, ...], options: str = "", address: str = "127.0.0.1") -> list[int]:
    """Return the statuses of `paths`, sent verbatim by a client inside the machine."""
    urls = "\n".join(
        f'next\ninsecure\nsilent\npath-as-is\nurl = "https://{address}{path}"\nheader = "Host: {DOMAIN}"\n'
        f'output = /dev/null\nwrite-out = "%{{http_code}} "\n{options}'
        for path in paths
    )
    said = site.demo.exec(["curl", "-sK", "-"], data=urls.removeprefix("next\n"))
    return [int(code) for code in said.stdout.split()]


def test_the_document_to_be_signed_is_let_out_to_this_machine_and_its_containers(
    mandatory: Frontend, site: Site
) -> None:
    good = ("/signature/send/7/", "/signature/send/0f-A_z/?a=b", "/x/../signature/send/%37/", "//signature//send/7/")
    assert ask_from_inside(site, good) == [200] * len(good)
    assert ask_from_inside(site, good[:1], address=site.demo.address) == [200]
    targets = [request.target for request in mandatory.recorded()]
    assert targets == ["/signature/send/7/", "/signature/send/0f-A_z/?a=b", *["/signature/send/7/"] * 3]
    refused = ask_from_inside(site, good[:1], "request = POST\n") + ask_from_inside(site, good[:1], 'request = "PUT"\n')
    assert refused == [403, 403]
    assert mandatory.recorded() == []


def test_by_no_trick_does_it_let_out_more(mandatory: Frontend, site: Site) -> None:
    seen = dict(zip(TRICKS, ask_from_inside(site, TRICKS), strict=True))
    assert {path: code for path, code in seen.items() if code not in (400, 403)} == {}
    assert mandatory.recorded() == []


def test_from_outside_it_is_not_let_out(mandatory: Frontend) -> None:
    for more in ("", "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 172.18.0.2\r\n"):
        request = f"GET /signature/send/7/ HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n{more}\r\n"
        assert status(mandatory.raw(request.encode())) == 403
    assert mandatory.recorded() == []


def test_an_optional_site_lets_in_who_has_none_or_a_good_one(recording: Frontend, identities: Identities) -> None:
    assert answers(recording, None) == {200}
    told = [
        (request.all("x-ssl-client-verify"), request.all("x-ssl-client-serial")) for request in recording.recorded()
    ]
    assert told == [(["NONE"], [])] * len(WAYS)
    check_good(recording, identities)


@pytest.mark.parametrize("kind", BAD)
def test_an_optional_site_refuses_every_bad_one_too(recording: Frontend, identities: Identities, kind: str) -> None:
    check_refused(recording, identities, kind)
