"""One change of the demonstration for all tests in this folder: a certificate of a test CA, and client certificates."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.authorities import Authority, pem
from tests.machine.frontend.wire import APPLICATION, DOMAIN, RECORD, RECORDER, Frontend, Identity

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

SCAN = "/run/testssl"
INSTALL_SECONDS = 300
LIST = "/data/ecs-ca/crl.pem"
SETTINGS = ("ECS_REQUIRE_CLIENT_CERTS = False", "ECS_REQUIRE_CLIENT_CERTS = True")
START_SECONDS = 300


@dataclass
class Site:
    """The demonstration, with the application or a recorder behind its frontend."""

    demo: "Demo"
    frontend: Frontend
    mandatory: bool = False
    behind: str = "application"

    def demand(self, certificates: bool) -> None:
        """Make client certificates mandatory or optional."""
        if certificates != self.mandatory:

            def change(env: Any) -> None:
                env["appliance"]["ssl"]["client_certs_mandatory"] = certificates

            self.demo.edit_env(change)
            self.demo.sh("env-update.sh; appliance converge", timeout=120)
            self.mandatory = certificates

    def put_behind(self, what: str) -> None:
        """Put the `application` or the `recorder` behind the frontend."""
        if what == self.behind:
            return
        if what == "recorder":
            self.demo.sh(
                "systemctl stop appliance; rm -f /var/www/html/503.html /var/www/html/status.json",
                timeout=START_SECONDS,
            )
            start_recorder(self.demo, APPLICATION)
        else:
            self.demo.sh("systemctl stop 'recorder-*'; systemctl start appliance", timeout=START_SECONDS)
        self.behind = what

    def recording(self, *, certificates: bool) -> Frontend:
        """Return the frontend, with or without mandatory certificates, in front of a recorder with an empty record."""
        self.put_behind("recorder")
        self.demand(certificates)
        self.frontend.recorded()
        return self.frontend


def start_recorder(demo: "Demo", port: int) -> None:
    """Start a recorder on `port` of the machine's loopback, as the unit recorder-PORT, and wait until it listens."""
    demo.machine.guest.push("/run/recorder.py", RECORDER.read_text())
    run = f"systemd-run --quiet --unit=recorder-{port} -p LimitNOFILE=20000"
    demo.sh(f"{run} /usr/bin/python3 /run/recorder.py {port} {RECORD}")
    demo.sh(f"for _ in $(seq 100); do ss -Hltn sport = :{port} | grep -q . && exit; sleep 0.1; done; exit 1")


@dataclass
class People:
    """People with client certificates, valid or not; `authority` is the application's own CA, with its key."""

    authority: Authority
    folder: Path
    revoked: list[int] = field(default_factory=list)

    def make(self, name: str, authority: Authority | None = None, days: tuple[float, float] = (-1, 90)) -> Identity:
        """Issue a certificate, by default from the application's CA; `days` is its validity, in days from now."""
        key, certificate = (authority or self.authority).client(name, days=days)
        file = self.folder / f"{name}.pem"
        file.touch(mode=0o600)
        file.write_text(key + pem(certificate))
        digits = f"{certificate.serial_number:X}"
        return Identity(name, file, digits.zfill(len(digits) + len(digits) % 2))

    def revoke(self, demo: "Demo", *identities: Identity) -> float:
        """Write a list of all certificates revoked so far, in place, as the application does.

        Return when it was written, in seconds of CLOCK_BOOTTIME, which the machine shares with this host.
        """
        self.revoked += [int(identity.serial, 16) for identity in identities]
        write = ["sh", "-c", f"cat > {LIST}; cat /proc/uptime"]
        return float(demo.exec(write, data=self.authority.revocation_list(*self.revoked)).stdout.split()[0])


@pytest.fixture(scope="package")
def site(demo: "Demo", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield the demonstration with a certificate of a test CA; restore and activate its own settings afterwards."""
    before = demo.machine.guest.pull("/app/env.yml")
    authority = Authority("frontend test CA")
    trust = tmp_path_factory.mktemp("trust") / "ca.pem"
    trust.write_text(pem(authority.certificate))
    key, chain = authority.server(DOMAIN, demo.address, crl_url="http://ca.demo.internal/crl")

    def change(env: Any) -> None:
        env["appliance"]["ssl"].update({"key": key, "cert": chain})
        env["ecs"]["settings"] = env["ecs"]["settings"].replace(*SETTINGS)

    demo.edit_env(change)
    demo.sh("env-update.sh; appliance converge", timeout=120)
    made = Site(demo, Frontend(demo, trust))
    yield made
    demo.sh("systemctl stop 'recorder-*' 'testssl*'")
    demo.machine.guest.push("/app/env.yml", before, mode=0o600)
    demo.sh("systemctl restart appliance", timeout=START_SECONDS)


@pytest.fixture
def recording(site: Site) -> Frontend:
    """Return the frontend of a site with optional certificates, in front of a recorder."""
    return site.recording(certificates=False)


@pytest.fixture(scope="package")
def people(demo: "Demo", site: Site, tmp_path_factory: pytest.TempPathFactory) -> People:
    """Return the people who may present a certificate."""
    query = "select key || cert from pki_certificateauthority order by id limit 1"
    stored = demo.sh(f'psql -U postgres -At -c "{query}" ecs').encode()
    key = serialization.load_pem_private_key(stored, None)
    authority = Authority("application", key=key)  # type: ignore[arg-type]
    authority.certificate = x509.load_pem_x509_certificate(stored)
    return People(authority, tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="package")
def mandatory(site: Site) -> Site:
    """Return the site with mandatory certificates, in front of the application."""
    site.demand(certificates=True)
    site.put_behind("application")
    return site


@pytest.fixture
def scan(mandatory: Site) -> None:
    """Start testssl.sh on the site with mandatory certificates and the application."""
    site = mandatory
    site.demo.sh("apt-get install -qq --yes --no-install-recommends testssl.sh jq", timeout=INSTALL_SECONDS)
    site.demo.machine.guest.push(f"{SCAN}/ca.pem", site.frontend.trust.read_text())
    # Everything except the client simulation.
    sections = (
        "--protocols --std --forward-secrecy --server-preference --server-defaults --headers --vulnerable --grease"
    )
    options = f"--quiet --color 0 --warnings off --disable-rating --nodns none --add-ca {SCAN}/ca.pem"
    target = f"--jsonfile {SCAN}/report.json --ip {site.demo.address} https://{DOMAIN}/"
    site.demo.sh(
        f"systemctl stop 'testssl*'; rm -f {SCAN}/report.json; systemd-run --quiet --unit=testssl --collect "
        f"sh -c 'testssl {sections} {options} {target} || true'"
    )


@pytest.fixture(scope="session")
def soon() -> Callable[[Callable[[], bool], float], float]:
    """Return a function that polls a condition without a pause and returns the seconds until it was true."""

    def wait(met: Callable[[], bool], seconds: float) -> float:
        began = time.monotonic()
        while not met():
            if time.monotonic() - began > seconds:
                pytest.fail(f"not within {seconds:g} s")
        return time.monotonic() - began

    return wait
