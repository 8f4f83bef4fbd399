"""Users of the demonstration's site: their certificates and sessions, and how the site answers their browsers."""

import json
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

LOGIN = "/accounts/login/"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# nginx's answers to an invalid certificate.
REFUSALS = {403}


@dataclass(frozen=True)
class Person:
    """An internal user of the site, created for a test."""

    demo: "Demo"
    address: str
    password: str

    def certificate(self, name: str, folder: Path) -> "Certificate":
        """Create a client certificate for this user."""
        target = "/root/people.p12"
        self.demo.sh(f"rm -f {target}")
        words = ("create-client-cert.sh", self.address, name, "30", "--output", target, "--json")
        passphrase = told(self.demo, *words)["passphrase"]
        script = f"openssl pkcs12 -legacy -in {target} -nodes -passin stdin"
        done = self.demo.exec(["sh", "-c", script], data=passphrase + "\n")
        assert done.returncode == 0, done.stderr
        file = folder / f"{len(list(folder.iterdir()))}.pem"
        file.write_text(done.stdout)
        return Certificate(self.demo, name, file)

    def session(self) -> httpx.Client:
        """Return a browser in which this user is logged in."""
        browser = client(self.demo)
        assert log_in(browser, self.address, self.password)
        assert is_logged_in(browser)
        return browser


@dataclass(frozen=True)
class Certificate:
    """A client certificate with its key, in a file on this host."""

    demo: "Demo"
    name: str
    file: Path

    def answer(self, version: str) -> int:
        """Return the HTTP status of a new connection with this certificate, 0 if the handshake fails."""
        try:
            with client(self.demo, self.file, VERSIONS[version]) as browser:
                return browser.get(LOGIN).status_code
        except (httpx.HTTPError, ssl.SSLError):
            return 0

    def answers(self) -> set[int]:
        """Return its statuses over all versions of TLS."""
        return {self.answer(version) for version in VERSIONS}


def client(demo: "Demo", certificate: Path | None = None, version: ssl.TLSVersion | None = None) -> httpx.Client:
    """Return an HTTP client with cookies that trusts only the site's own certificate."""
    trust = ssl.create_default_context(cafile=demo.ca_file)
    if certificate:
        trust.load_cert_chain(certificate)
    if version:
        trust.minimum_version = trust.maximum_version = version
    return httpx.Client(base_url=demo.url, verify=trust, trust_env=False, timeout=20)


def log_in(browser: httpx.Client, address: str, password: str) -> bool:
    """Log in through the form; return whether the site accepted it."""
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(LOGIN).text)
    assert token
    fields = {"csrfmiddlewaretoken": token[1], "email": address, "password": password}
    referer = str(browser.base_url.join(LOGIN))
    return browser.post(LOGIN, data=fields, headers={"Referer": referer}).status_code == httpx.codes.FOUND


def is_logged_in(browser: httpx.Client) -> bool:
    """Return whether the browser's session is logged in."""
    return browser.get("/").status_code == httpx.codes.OK


def told(demo: "Demo", *words: str) -> dict[str, Any]:
    """Run a command that must succeed, and return the JSON on its last line."""
    done = demo.exec(words)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert answer["ok"] is True
    return answer


def query(demo: "Demo", statement: str, **values: str) -> str:
    """Run `statement` in the application's database; it refers to `values` as :'name'."""
    assignments = [f"--set={name}={value}" for name, value in values.items()]
    done = demo.exec(["psql", "-U", "postgres", "-At", "--set=ON_ERROR_STOP=1", *assignments, "ecs"], data=statement)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_person(demo: "Demo", stamp: str, first: str = "Seán", last: str = "O'Brien") -> Person:
    """Create an internal user with `stamp` in the address."""
    address = f"Sean.O'Brien.{stamp}@example.org"
    made = told(demo, "create-internal-user.sh", address, first, last, "m", "--json")
    return Person(demo, address, made["password"])
