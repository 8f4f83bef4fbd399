"""Routes through the frontend: to the application and to the signing services, with the headers these receive."""

import time

import pytest

from tests.machine.frontend.conftest import Site, start_recorder
from tests.machine.frontend.wire import DOMAIN, SESSION, Frontend, Recorded


def test_a_connection_that_the_application_has_closed_meanwhile_loses_no_request(recording: Frontend) -> None:
    """A connection that the application has closed is not reused, and no POST is sent twice."""
    with recording.client() as client:
        codes = []
        for path in ("/close/", "/kept/") * 20:
            codes.append(client.post(path, content=b"abc").status_code)
            time.sleep(0.02)
    assert codes == [200] * 40
    assert [request.target for request in recording.recorded()] == ["/close/", "/kept/"] * 20


def test_without_the_application_there_is_the_status_page_however_it_is_asked(recording: Frontend, site: Site) -> None:
    site.demo.sh("systemctl stop recorder-5000")
    try:
        for method, path in (("GET", "/"), ("POST", "/documents/new/"), ("POST", "/accounts/login/"), ("PUT", "/")):
            with recording.client() as client:
                content = b"x" * (20_000_000 if path == "/documents/new/" else 0)
                answer = client.request(method, path, content=content, headers={"Cookie": SESSION})
            assert answer.status_code == 503, (method, path)
            assert "This site is not available" in answer.text
            assert "Diese Seite ist nicht erreichbar" in answer.text
            assert answer.headers.get_list("content-security-policy")[0].startswith("default-src 'none'; ")
            assert answer.headers["retry-after"] == "30"
            assert answer.headers["strict-transport-security"] == "max-age=63072000"
            assert answer.headers["x-frame-options"] == "SAMEORIGIN"
            assert answer.headers["x-content-type-options"] == "nosniff"
    finally:
        start_recorder(site.demo, 5000)


@pytest.mark.parametrize(("path", "port"), [("/pdf-as-web/", 5095), ("/bkuonline/", 5090)])
def test_signing_services_are_there_when_they_run(recording: Frontend, site: Site, path: str, port: int) -> None:
    with recording.client() as client:
        absent = client.get(f"{path}Sign?a=b")
        assert absent.status_code == 404
        assert "Nothing can be signed at the moment" in absent.text
        assert "Signieren ist derzeit nicht möglich" in absent.text
        start_recorder(site.demo, port)
        try:
            spoofed = {"X-Ssl-Client-Verify": "SUCCESS", "X-Real-IP": "6.6.6.6"}
            assert client.get(f"{path}Sign;jsessionid=A1?a=b", headers=spoofed).status_code == 200
            assert client.post(f"{path}Sign", content=b"abc").status_code == 200
            assert recording.get_status(path=f"{path}a;x/../%53ign") == 200
            arrived = recording.recorded()
            assert [request.target for request in arrived] == [f"{path}Sign;jsessionid=A1?a=b", *[f"{path}Sign"] * 2]
            for request in arrived:
                check_told(recording, request)
            for trick in ("..;/manager/html", "%2e%2e;/manager", ".;/x", "a;x/b", "..%3b/manager", "a%5c..%5cb"):
                assert recording.get_status(path=f"{path}{trick}") == 404, trick
            assert recording.recorded() == []
        finally:
            site.demo.sh(f"systemctl stop recorder-{port}")
        assert client.get(f"{path}Sign").status_code == 404
        posted = client.post(f"{path}Sign", content=b"abc")
        assert (posted.status_code, "Signieren ist derzeit nicht möglich" in posted.text) == (404, True)
    assert recording.recorded() == []


def check_told(frontend: Frontend, request: Recorded) -> None:
    """Assert that a service receives the same client headers as the application."""
    assert request.all("x-real-ip") == request.all("x-forwarded-for") == [frontend.client_address]
    assert (request.all("x-ssl-client-verify"), request.all("x-ssl-client-serial")) == (["NONE"], [])
    assert request.all("host")[0] in (frontend.address, DOMAIN)
    assert request.all("x-forwarded-proto") == ["https"]


def test_the_journal_tells_of_every_request_who_came_with_which_certificate_and_how_long_it_took(
    recording: Frontend, site: Site
) -> None:
    marks = {name: f"/journal-{name}-{time.monotonic_ns()}" for name in ("h1", "h2", "large")}
    with recording.client() as client:
        client.get(marks["h1"], headers={"Referer": "https://example.org/secret"})
    with recording.client(http2=True) as client:
        client.get(marks["h2"])
    large = f"POST {marks['large']} HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 999999999\r\n\r\n"
    recording.raw(large.encode(), patience=0.2)
    told = site.demo.sh("sleep 0.3; journalctl -t nginx --since=-1min -o cat --no-pager")
    assert f'{recording.client_address} {recording.address} "GET {marks["h1"]} HTTP/1.1" 200 8 0.0' in told
    assert f'"GET {marks["h2"]} HTTP/2.0" 200 8 0.0' in told
    assert "upstream=0.0" in told
    assert "verify=NONE serial=-" in told
    assert f'"POST {marks["large"]} HTTP/1.1" 413 ' in told
    assert "example.org/secret" not in told
