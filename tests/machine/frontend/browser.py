"""A real browser with its own home: the CAs it trusts, and the certificates imported into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

from ecs_appliance.core.runner import SystemRunner
from tests.machine.frontend.wire import DOMAIN

# Keeps the browser from contacting anything but the site.
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--disable-default-apps", "--no-proxy-server", "--lang=en", "--window-size=900,700"),
)
# Otherwise it asks the user which certificate to present; WRAPPER makes the policy visible to this browser only.
POLICY = '{"AutoSelectCertificateForUrls": ["{\\"pattern\\":\\"https://%s\\",\\"filter\\":{}}"]}'
WRAPPER = """\
#!/bin/sh
exec unshare --mount sh -c 'mount --bind {etc} /etc/chromium && exec /usr/bin/chromium "$@"' sh "$@"
"""
SECONDS = 60


@dataclass(frozen=True)
class Home:
    """The folder of one user's browser."""

    folder: Path

    def __post_init__(self) -> None:
        self.database.mkdir(parents=True)
        self._run("certutil", "-N", "--empty-password")
        policies = self.folder / "etc/policies/managed"
        policies.mkdir(parents=True)
        (policies / "certificate.json").write_text(POLICY % DOMAIN)
        wrapper = self.folder / "chromium"
        wrapper.write_text(WRAPPER.format(etc=self.folder / "etc"))
        wrapper.chmod(0o755)

    @property
    def database(self) -> Path:
        return self.folder / ".pki/nssdb"

    def trust(self, authority: Path) -> None:
        """Trust the CA in the file `authority`."""
        self._run("certutil", "-A", "-n", "site", "-t", "C,,", "-i", authority)

    def add(self, pkcs12: Path, passphrase: str) -> None:
        """Import a certificate with its key."""
        secret = self.folder / "passphrase"
        secret.touch(mode=0o600)
        secret.write_text(passphrase)
        self._run("pk12util", "-i", pkcs12, "-w", secret)
        secret.unlink()

    @contextmanager
    def browse(self, address: str) -> Iterator[Chrome]:
        """Start a browser that resolves the site's name to `address`; quit it at the end."""
        options = ChromeOptions()
        options.binary_location = str(self.folder / "chromium")
        for option in (*OPTIONS, f"--user-data-dir={self.folder}/profile"):
            options.add_argument(option)
        options.add_argument(f"--host-resolver-rules=MAP {DOMAIN} {address}")
        environment = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        browser = Chrome(options, ChromeService("/usr/bin/chromedriver", env=environment))
        browser.set_page_load_timeout(SECONDS)
        try:
            yield browser
        finally:
            browser.quit()

    def _run(self, program: str, *words: str | Path) -> None:
        SystemRunner().run([program, "-d", f"sql:{self.database}", *words], timeout=SECONDS)


def headlines(browser: Chrome) -> list[str]:
    """Return the page's headlines."""
    return [element.text for element in browser.find_elements(By.TAG_NAME, "h1")]


def log_in(browser: Chrome, email: str, password: str) -> None:
    """Fill in and submit the login page that is shown."""
    browser.find_element(By.NAME, "email").send_keys(email)
    browser.find_element(By.NAME, "password").send_keys(password)
    browser.find_element(By.CSS_SELECTOR, "main button").click()
