"""Certificates from a real ACME server that really validates: issued, renewed, refused, lost, recovered."""

import json
import random
import socket
import ssl
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.machine.pebbles import DIRECTORY, REFUSING, AcmeServer

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until


DOMAIN, SECOND, LOST = "ecs.demo.internal", "second.demo.internal", "lost.demo.internal"
TOPICS = ("certificate:", "served:")
METRICS = "/var/lib/prometheus/node-exporter/appliance-certificate.prom"
ACCOUNTS = "/data/ecs-acme/accounts"
FLAG = "/app/etc/flags/force.update.letsencrypt"


@pytest.fixture(scope="module")
def authority(demo: "Demo") -> Iterator[AcmeServer]:
    """Yield a server that can reach two of the site's names, and configure the site to use it; undo that afterwards."""
    before = demo.machine.guest.pull("/app/env.yml")
    server = AcmeServer(demo)
    try:
        server.install()
        server.start()
        for name in (DOMAIN, SECOND):
            server.point(name, demo.address)
        yield server
    finally:
        server.remove()
        demo.machine.guest.push("/app/env.yml", before, mode=0o600)
        demo.sh("rm -rf /data/ecs-acme/* /var/lib/ecs-appliance/acme.json; systemctl reload appliance", timeout=120)
        demo.sh("systemctl start appliance-certificate", timeout=120)
        # The site has a new self-signed certificate; querying its status makes the demonstration trust that one.
        demo.command("status")


def ask(demo: "Demo", server: AcmeServer, *more: str, **settings: object) -> None:
    """Configure the site to use `server`, for the names `more` too, with more `settings` of letsencrypt."""

    def by(env: Any) -> None:
        env["appliance"]["allowed_hosts"] = " ".join((DOMAIN, demo.address, SECOND, *more))
        env["appliance"]["ssl"]["letsencrypt"] = {
            "enabled": True,
            "directory": DIRECTORY,
            "authority": server.authority,
            **settings,
        }

    demo.edit_env(by)
    apply(demo)


def apply(demo: "Demo") -> None:
    """Apply env.yml, certificates included."""
    demo.sh("systemctl reload appliance; systemctl start appliance-certificate", timeout=300)


def try_again(demo: "Demo") -> None:
    """Renew everything now, as an operator would request it."""
    demo.sh(f"touch {FLAG}; systemctl start appliance-certificate", timeout=300)
    assert demo.exec(["test", "-e", FLAG]).returncode == 1


def served(demo: "Demo", name: str) -> x509.Certificate:
    """Return the certificate that a client gets for `name`."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((demo.address, 443), 10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")


def is_trusted(demo: "Demo", name: str, root: str) -> bool:
    """Return whether a client that trusts only `root` accepts the site as `name`."""
    context = ssl.create_default_context(cadata=root)
    try:
        with (
            socket.create_connection((demo.address, 443), 10) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            return True
    except ssl.SSLCertVerificationError:
        return False


def alerts(demo: "Demo") -> dict[str, tuple[str, str]]:
    """Return severity and message of the alerts about certificates, by topic."""
    told = json.loads(demo.exec(["appliance", "alerts", "--json"]).stdout)["alerts"]
    return {each["topic"]: (each["severity"], each["message"]) for each in told if each["topic"].startswith(TOPICS)}


def login(demo: "Demo") -> int:
    """Return the status of the login page, without verifying the certificate."""
    with httpx.Client(verify=False, trust_env=False, timeout=20) as client:  # noqa: S501 # not what is looked at here
        return client.get(f"https://{demo.address}/accounts/login/").status_code


def metric(demo: "Demo", name: str, labels: str) -> float:
    lines = demo.sh(f"cat {METRICS}").splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name}{{{labels}"))


def test_first_issue_and_a_name_that_fails_blocks_no_other(demo: "Demo", authority: AcmeServer) -> None:
    ask(demo, authority, LOST)
    root = authority.root()
    for name in (DOMAIN, SECOND):
        assert is_trusted(demo, name, root), demo.sh("journalctl -u appliance-certificate -n 30 -o cat")
        assert isinstance(served(demo, name).public_key(), ec.EllipticCurvePublicKey)
    assert not is_trusted(demo, LOST, root)
    assert set(alerts(demo)) == {f"certificate:{LOST}"}
    severity, message = alerts(demo)[f"certificate:{LOST}"]
    assert severity == "critical"
    assert "self-signed" in message and "(connection)" in message
    assert metric(demo, "appliance_certificate_self_signed", f'name="{LOST}"') == 1
    assert metric(demo, "appliance_certificate_mismatch", f'name="{DOMAIN}",port="443"') == 0
    left = metric(demo, "appliance_certificate_expiry_timestamp_seconds", f'name="{DOMAIN}"')
    assert left == served(demo, DOMAIN).not_valid_after_utc.timestamp()
    assert login(demo) == 200


def test_nothing_is_asked_for_that_is_not_due(demo: "Demo", authority: AcmeServer) -> None:
    before, said = served(demo, DOMAIN), authority.log()
    demo.sh("systemctl start appliance-certificate")
    assert served(demo, DOMAIN) == before
    assert authority.log() == said


def test_renewal_keeps_the_account(demo: "Demo", authority: AcmeServer) -> None:
    ask(demo, authority)
    assert alerts(demo) == {}
    account = demo.sh(f"sha256sum {ACCOUNTS}/*/account_key.pem")
    before = [served(demo, name).serial_number for name in (DOMAIN, SECOND)]
    try_again(demo)
    after = [served(demo, name).serial_number for name in (DOMAIN, SECOND)]
    assert not set(before) & set(after)
    assert demo.sh(f"sha256sum {ACCOUNTS}/*/account_key.pem") == account
    keys = demo.sh(f"ls /data/ecs-acme/certs/{DOMAIN} | grep -c privkey-")
    assert keys == "1"


def test_the_key_belongs_to_the_client_and_its_copy_to_root(demo: "Demo", authority: AcmeServer) -> None:
    del authority
    stat = "stat -c '%U %a'"
    assert demo.sh(f"{stat} /data/ecs-acme /data/ecs-acme/certs/{DOMAIN}/privkey-*.pem").splitlines() == [
        "app 700",
        "app 600",
    ]
    assert demo.sh(f"{stat} /etc/nginx/appliance/certificates/{DOMAIN}.pem /app/etc/server.cert.pem").splitlines() == [
        "root 600",
        "root 644",
    ]
    assert demo.sh("gosu app dehydrated --help | head -1").startswith("Usage:")


def test_rsa_on_request(demo: "Demo", authority: AcmeServer) -> None:
    ask(demo, authority, key_type="rsa")
    key = served(demo, DOMAIN).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 3072
    ask(demo, authority)
    assert isinstance(served(demo, DOMAIN).public_key(), ec.EllipticCurvePublicKey)


def test_wrong_nonces_are_borne(demo: "Demo", authority: AcmeServer) -> None:
    requests = []
    for rejected in (0, 30):
        authority.start(nonce_rejects=rejected)
        before = served(demo, DOMAIN).serial_number
        try_again(demo)
        assert served(demo, DOMAIN).serial_number != before
        assert f"certificate:{DOMAIN}" not in alerts(demo)
        requests.append(authority.log().count("POST"))
    assert requests[1] > requests[0]


def test_an_authority_that_has_forgotten_the_account_gets_another(demo: "Demo", authority: AcmeServer) -> None:
    account = demo.sh(f"sha256sum {ACCOUNTS}/*/account_key.pem")
    authority.start()
    try_again(demo)
    assert is_trusted(demo, DOMAIN, authority.root())
    assert demo.sh(f"sha256sum {ACCOUNTS}/*/account_key.pem") != account


def test_an_account_that_was_closed_is_replaced(demo: "Demo", authority: AcmeServer) -> None:
    account = demo.sh(f"sha256sum {ACCOUNTS}/*/account_key.pem")
    demo.sh("gosu app dehydrated --deactivate")
    before = served(demo, DOMAIN).serial_number
    try_again(demo)
    assert served(demo, DOMAIN).serial_number != before
    assert demo.sh(f"sha256sum {ACCOUNTS}/*/account_key.pem") != account
    # Again, but now only the authority knows that the account is deactivated.
    demo.sh(f"gosu app dehydrated --deactivate; rm {ACCOUNTS}/*/deactivated")
    before = served(demo, DOMAIN).serial_number
    try_again(demo)
    assert served(demo, DOMAIN).serial_number != before
    assert is_trusted(demo, DOMAIN, authority.root())


def test_a_revoked_authorisation_is_proven_anew(demo: "Demo", authority: AcmeServer) -> None:
    authority.start(reuse=100)
    try_again(demo)
    asked = authority.validations()
    try_again(demo)
    assert authority.validations() == asked
    authority.revoke_authorisation(DOMAIN)
    before = served(demo, DOMAIN).serial_number
    try_again(demo)
    assert served(demo, DOMAIN).serial_number != before
    assert authority.validations() == asked + 1


def test_a_rate_limit_is_told_and_waited_for(demo: "Demo", authority: AcmeServer) -> None:
    before = served(demo, DOMAIN).serial_number
    authority.refuse_orders(retry_after=5 * 3600)
    ask(demo, authority, directory=REFUSING)
    severity, message = alerts(demo)[f"certificate:{DOMAIN}"]
    assert severity == "warning"
    assert "too many certificates already issued" in message and "(rateLimited)" in message
    assert served(demo, DOMAIN).serial_number == before
    record = json.loads(demo.sh("cat /var/lib/ecs-appliance/acme.json"))[DOMAIN]
    assert record["retry_at"] - record["attempted"] == pytest.approx(5 * 3600, abs=120)
    said = authority.log()
    demo.sh("systemctl start appliance-certificate")
    assert authority.log() == said
    ask(demo, authority)
    try_again(demo)
    assert f"certificate:{DOMAIN}" not in alerts(demo)


def test_with_the_authority_down_the_last_certificate_stays_and_then_a_self_signed_one(
    demo: "Demo", authority: AcmeServer, until: "Until"
) -> None:
    authority.start(seconds_valid=60)
    try_again(demo)
    root, short = authority.root(), served(demo, DOMAIN)
    assert is_trusted(demo, DOMAIN, root)
    authority.stop()
    try_again(demo)
    assert served(demo, DOMAIN) == short
    severity, message = alerts(demo)[f"certificate:{DOMAIN}"]
    # A certificate that is valid for a minute always has less than three days left.
    assert (severity, "no connection could be made" in message) == ("critical", True)

    def gave_up() -> bool:
        demo.sh("systemctl start appliance-certificate")
        return served(demo, DOMAIN) != short

    took = until(gave_up, 90)
    assert took > 10
    issuer = served(demo, DOMAIN).issuer.rfc4514_string()
    assert issuer == f"CN={DOMAIN}"
    severity, message = alerts(demo)[f"certificate:{DOMAIN}"]
    assert severity == "critical" and "self-signed" in message
    assert metric(demo, "appliance_certificate_self_signed", f'name="{DOMAIN}"') == 1
    assert (
        demo.sh(
            "curl -sk -o /dev/null -w '%{http_code}' https://127.0.0.1/accounts/login/ -H 'Host: ecs.demo.internal'"
        )
        == "200"
    )
    assert demo.sh("systemctl list-units --failed --no-legend") == ""
    authority.start()
    try_again(demo)
    assert is_trusted(demo, DOMAIN, authority.root())
    assert alerts(demo) == {}


def test_a_killed_run_leaves_nothing_that_the_next_one_cannot_take_up(demo: "Demo", authority: AcmeServer) -> None:
    root, pause = authority.root(), random.Random(4)
    hits = 0
    for _ in range(6):
        demo.sh(f"touch {FLAG}; systemctl start --no-block appliance-certificate")
        time.sleep(pause.uniform(0.5, 6))
        hits += demo.exec(["systemctl", "kill", "--signal=KILL", "appliance-certificate"]).returncode == 0
        demo.sh("nginx -t -q")
        assert login(demo) == 200
    assert hits >= 3
    before = served(demo, DOMAIN).serial_number
    try_again(demo)
    assert served(demo, DOMAIN).serial_number != before
    assert is_trusted(demo, DOMAIN, root)
    assert demo.sh(f"ls /data/ecs-acme/certs/{DOMAIN} | grep -c fullchain-") == "1"


def test_what_is_served_otherwise_than_deployed_is_told(demo: "Demo", authority: AcmeServer) -> None:
    del authority
    broken = "/etc/nginx/sites-enabled/broken.conf"
    before = served(demo, DOMAIN)
    for wrong, right, told in (
        (f"echo nonsense >{broken}", f"rm {broken}", "the served certificate is not the deployed one"),
        ("systemctl stop nginx", "systemctl start nginx", "nothing is listening there"),
    ):
        demo.sh(wrong)
        try:
            demo.exec(["sh", "-c", f"touch {FLAG}; systemctl start appliance-certificate"])
            severity, message = alerts(demo)[f"served:{DOMAIN}:443"]
            assert (severity, told in message) == ("critical", True)
            assert metric(demo, "appliance_certificate_mismatch", f'name="{DOMAIN}",port="443"') == 1
        finally:
            demo.sh(f"{right}; systemctl start appliance-certificate", timeout=120)
        assert f"served:{DOMAIN}:443" not in alerts(demo)
    assert served(demo, DOMAIN) != before


def test_a_given_certificate_comes_before_acme(demo: "Demo", authority: AcmeServer) -> None:
    key, chain = authority.tls.server(DOMAIN)

    def give(env: Any) -> None:
        env["appliance"]["ssl"].update(key=key, cert=chain)

    demo.edit_env(give)
    apply(demo)
    for name in (DOMAIN, SECOND):
        assert served(demo, name) == x509.load_pem_x509_certificate(chain.encode())
    severity, message = alerts(demo)[f"certificate:{SECOND}"]
    assert severity == "warning" and "is not valid for second.demo.internal" in message
    assert f"certificate:{DOMAIN}" not in alerts(demo)
    expired = authority.tls.server(DOMAIN, days=(-90, -1))

    def give_expired(env: Any) -> None:
        env["appliance"]["ssl"].update(key=expired[0], cert=expired[1])

    demo.edit_env(give_expired)
    apply(demo)
    assert is_trusted(demo, DOMAIN, authority.root())
    severity, message = alerts(demo)[f"certificate:{DOMAIN}"]
    assert severity == "critical"
    assert "expired on" in message and "uses an ACME certificate" in message
