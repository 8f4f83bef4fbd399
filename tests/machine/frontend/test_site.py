"""The real application behind the frontend: after a reboot, in a browser, and from its own containers."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509

from tests.machine.frontend.browser import Home, headlines, log_in
from tests.machine.frontend.conftest import LIST, People, Site
from tests.machine.frontend.wire import DOMAIN

Soon = Callable[[Callable[[], bool], float], float]
WEB = "ecs_ecs.web_1"
# As `cert revoke` calls the application.
REVOKE = "from ecs.pki.models import Certificate; Certificate.objects.get(cn='{name}').revoke()"
FETCH = """
import ssl, urllib.error, urllib.request
for host in ('172.17.0.1', '{address}'):
    request = urllib.request.Request('https://%s{path}' % host, headers={{'Host': '{domain}'}})
    try:
        print(urllib.request.urlopen(request, context=ssl._create_unverified_context()).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


class Member(NamedTuple):
    """An internal user with a client certificate, created by the appliance's commands."""

    email: str
    password: str
    name: str
    pkcs12: Path
    passphrase: str


@pytest.fixture(scope="module")
def member(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Member:
    site.put_behind("application")
    email, name = "browser@ecs.demo.internal", f"browser {time.time_ns()}"
    made = json.loads(site.demo.sh(f"appliance user create {email} Bro Wser f --reset --json"))
    file = "/root/browser.p12"
    words = f"rm -f {file}; appliance cert create {email} '{name}' 30 --output {file} --json"
    certificate = json.loads(site.demo.sh(words))
    pkcs12 = tmp_path_factory.mktemp("member") / "browser.p12"
    pkcs12.touch(mode=0o600)
    pkcs12.write_bytes(site.demo.machine.guest.pull(file))
    site.demo.sh(f"rm {file}")
    return Member(email, made["password"], name, pkcs12, certificate["passphrase"])


def test_after_a_reboot_the_last_good_list_holds_and_a_start_brings_a_new_one(
    site: Site, people: People, soon: Soon
) -> None:
    """The application's list is broken before the reboot; the one it writes when it starts is good again."""
    site.put_behind("recorder")
    site.demand(certificates=True)
    good, revoked = people.make("reboot-good"), people.make("reboot-revoked")
    people.revoke(site.demo, revoked)
    soon(lambda: site.frontend.get_status(revoked) == 403, 5)
    site.demo.sh(f": > {LIST}; systemctl disable --quiet appliance")
    site.demo.machine.reboot()
    assert site.frontend.get_status(good, "/accounts/login/") == 503
    assert site.frontend.get_status(revoked, "/accounts/login/") == 403
    assert site.frontend.get_status(path="/appliance-status.json") == 404
    site.demo.sh("systemctl enable --quiet appliance")
    site.put_behind("application")
    assert site.frontend.get_status(good, "/accounts/login/") == 200
    written = x509.load_pem_x509_crl(site.demo.machine.guest.pull(LIST))
    assert written.is_signature_valid(people.authority.certificate.public_key())  # type: ignore[arg-type]
    people.revoked.clear()


def test_a_browser_without_a_certificate_is_told_what_it_needs(mandatory: Site, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.trust(mandatory.frontend.trust)
    with home.browse(mandatory.demo.address) as browser:
        browser.get(f"https://{DOMAIN}/")
        browser.save_screenshot(str(tmp_path / "needed.png"))
        assert headlines(browser) == ["This site needs your certificate", "Diese Seite verlangt Ihr Zertifikat"]


def test_a_browser_with_the_imported_certificate_logs_in_until_it_is_revoked(
    mandatory: Site, member: Member, soon: Soon, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    home.trust(mandatory.frontend.trust)
    home.add(member.pkcs12, member.passphrase)
    with home.browse(mandatory.demo.address) as browser:
        browser.get(f"https://{DOMAIN}/")
        assert headlines(browser) == ["Log in"]
        log_in(browser, member.email, member.password)
        assert headlines(browser) == ["Documents"]
        assert member.email in browser.page_source
        browser.save_screenshot(str(tmp_path / "documents.png"))
        shell = ["docker", "exec", "-i", WEB, "/start", "run", "./manage.py", "shell"]
        assert mandatory.demo.exec(shell, data=REVOKE.format(name=member.name)).returncode == 0

        def refused() -> bool:
            browser.refresh()
            return headlines(browser) == ["Your certificate has been revoked", "Ihr Zertifikat wurde widerrufen"]

        soon(refused, 5)
        browser.save_screenshot(str(tmp_path / "revoked.png"))


def test_containers_get_the_document_to_be_signed_and_nothing_else(mandatory: Site) -> None:
    def fetch(path: str) -> list[str]:
        code = FETCH.format(address=mandatory.demo.address, path=path, domain=DOMAIN)
        return mandatory.demo.exec(["docker", "exec", "-i", WEB, "python3", "-"], data=code).stdout.split()

    # 404: the demonstration's application does not have this document.
    assert fetch("/signature/send/7/") == ["404", "404"]
    assert fetch("/accounts/login/") == ["403", "403"]


def test_pages_are_not_compressed_and_styles_are(site: Site, people: People) -> None:
    """Compressing a secret together with text chosen by an attacker would reveal it by the length (BREACH)."""
    site.put_behind("application")
    good = people.make("compressed")
    with site.frontend.client(good) as client:
        page = client.get("/accounts/login/", headers={"Accept-Encoding": "gzip, deflate, br"})
        style = client.get("/static/ecs.css", headers={"Accept-Encoding": "gzip, deflate, br"})
    assert "content-encoding" not in page.headers
    assert style.headers["content-encoding"] == "gzip"


def test_what_the_application_says_of_itself_is_not_said_twice(site: Site, people: People) -> None:
    site.put_behind("application")
    with site.frontend.client(people.make("headers")) as client:
        headers = client.get("/accounts/login/").headers
    told = {
        "strict-transport-security": ["max-age=63072000"],
        "x-content-type-options": ["nosniff"],
        "referrer-policy": ["same-origin"],
        "x-frame-options": ["DENY"],
        "content-security-policy": ["base-uri 'self'; frame-ancestors 'self'; object-src 'none'"],
        "permissions-policy": [
            "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
        ],
        "server": ["nginx"],
    }
    assert {name: headers.get_list(name) for name in told} == told
