"""A real ACME server in the machine: Debian's pebble, which validates by HTTP and uses its own resolver."""

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.authorities import Authority, pem

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

FOLDER = "/var/tmp/pebble"
DIRECTORY = "https://127.0.0.1:14000/dir"
# Where an authority answers that its rate limit is reached, see refuse_orders.
REFUSING = "https://127.0.0.1:14001/dir"
RESOLVER, PEBBLE, REFUSER = "test-resolver", "test-pebble", "test-refuser"
UP_SECONDS = 20.0


@dataclass
class AcmeServer:
    """Control pebble in `demo`'s machine. It keeps no state when it stops, like a CA that is set up anew."""

    demo: "Demo"
    tls: Authority = field(default_factory=lambda: Authority("test TLS of an ACME server"))

    @property
    def authority(self) -> str:
        """The CA that a client must trust to connect to it, PEM."""
        return pem(self.tls.certificate)

    def install(self) -> None:
        """Install the programs and their configuration in the machine, and start the resolver."""
        self.demo.sh("apt-get install -qq -y --no-install-recommends pebble curl >/dev/null", timeout=300)
        key, chain = self.tls.server("localhost", "127.0.0.1")
        for name, text in (("key.pem", key), ("cert.pem", chain)):
            self.demo.machine.guest.push(f"{FOLDER}/{name}", text, mode=0o600)
        listeners = "-http01= -https01= -tlsalpn01= -doh="
        self._run(RESOLVER, f"pebble-challtestsrv -dns01 127.0.0.1:8053 -management 127.0.0.1:8055 {listeners}")
        for family in ("4", "6"):
            self._wait(f'curl -sf -X POST -d \'{{"ip":""}}\' http://127.0.0.1:8055/set-default-ipv{family}')

    def point(self, name: str, address: str) -> None:
        """Make `name` resolve to `address` for the authority."""
        data = json.dumps({"host": name, "addresses": [address]})
        self.demo.sh(f"curl -sf -X POST -d '{data}' http://127.0.0.1:8055/add-a")

    def start(self, *, seconds_valid: int = 90 * 86400, nonce_rejects: int = 0, reuse: int = 0) -> None:
        """Start it without any accounts. `nonce_rejects` and `reuse` (of authorisations) are percentages."""
        config = {
            "listenAddress": "127.0.0.1:14000",
            "managementListenAddress": "127.0.0.1:15000",
            "certificate": f"{FOLDER}/cert.pem",
            "privateKey": f"{FOLDER}/key.pem",
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "retryAfter": {"authz": 1, "order": 1},
            "certificateValidityPeriod": seconds_valid,
        }
        self.demo.machine.guest.push(f"{FOLDER}/config.json", json.dumps({"pebble": config}))
        environment = {
            "PEBBLE_VA_ALWAYS_VALID": "0",
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": str(nonce_rejects),
            "PEBBLE_AUTHZREUSE": str(reuse),
        }
        self._run(PEBBLE, f"pebble -config {FOLDER}/config.json -dnsserver 127.0.0.1:8053", environment)
        self._wait(f"curl -sf -k {DIRECTORY}")

    def stop(self) -> None:
        """Stop it, so that nothing listens on its port."""
        self.demo.exec(["systemctl", "stop", f"{PEBBLE}.service"])

    def remove(self) -> None:
        """Stop everything that belongs to it."""
        for unit in (REFUSER, PEBBLE, RESOLVER):
            self.demo.exec(["systemctl", "stop", f"{unit}.service"])

    def root(self) -> str:
        """Return the root certificate of the certificates it issues, PEM."""
        return self.demo.sh("curl -sf -k https://127.0.0.1:15000/roots/0")

    def log(self) -> str:
        """Return what it has logged since its last start."""
        invocation = self.demo.sh(f"systemctl show -p InvocationID --value {PEBBLE}")
        return self.demo.sh(f"journalctl -o cat --no-pager _SYSTEMD_INVOCATION_ID={invocation}")

    def validations(self) -> int:
        """Return how many validations it has made since its last start."""
        return self.log().count("Pulled a task from the Tasks queue")

    def refuse_orders(self, *, retry_after: int) -> None:
        """Run a proxy at REFUSING that answers orders with a rate limit error; `retry_after` is in seconds."""
        self.demo.machine.guest.push(f"{FOLDER}/refuser.py", REFUSER_SCRIPT)
        python = "/app/appliance/.venv/bin/python"
        self._run(REFUSER, f"{python} {FOLDER}/refuser.py {FOLDER} {retry_after}")
        self._wait(f"curl -sf -k {REFUSING}")

    def revoke_authorisation(self, name: str) -> None:
        """Deactivate the authorisation for `name` on behalf of the client's account (RFC 8555, 7.5.2)."""
        self.demo.machine.guest.push(f"{FOLDER}/revoke.py", REVOKING_SCRIPT)
        self.demo.sh(f"/app/appliance/.venv/bin/python {FOLDER}/revoke.py {DIRECTORY} {name}")

    def _run(self, unit: str, command: str, environment: dict[str, str] | None = None) -> None:
        self.demo.exec(["systemctl", "stop", f"{unit}.service"])
        settings = [f"--setenv={name}={value}" for name, value in (environment or {}).items()]
        words = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", *settings, *command.split()]
        started = self.demo.exec(words)
        assert started.returncode == 0, started.stderr

    def _wait(self, question: str) -> None:
        deadline = time.monotonic() + UP_SECONDS
        while self.demo.exec(["sh", "-c", f"{question} >/dev/null"]).returncode:
            assert time.monotonic() < deadline, question
            time.sleep(0.2)


REFUSER_SCRIPT = '''
"""Passes everything on to pebble, but orders: those get what RFC 8555 (6.6) says of rate limits."""
import http.client, http.server, json, ssl, sys

FOLDER, RETRY_AFTER = sys.argv[1], sys.argv[2]
PROBLEM = {"type": "urn:ietf:params:acme:error:rateLimited", "status": 429,
           "detail": "too many certificates already issued for this name"}


class Refuser(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream = http.client.HTTPSConnection("127.0.0.1", 14000, context=ssl._create_unverified_context())
        upstream.request(self.command, self.path, body, dict(self.headers))
        reply = upstream.getresponse()
        content = reply.read()
        status, headers = reply.status, [(k, v) for k, v in reply.getheaders() if k.lower() in (
            "location", "replay-nonce", "content-type", "link")]
        if self.path.startswith("/order-plz"):
            status, content = 429, json.dumps(PROBLEM, indent=3).encode()
            headers = [(k, v) for k, v in headers if k.lower() == "replay-nonce"]
            headers += [("Content-Type", "application/problem+json"), ("Retry-After", RETRY_AFTER)]
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = answer


server = http.server.ThreadingHTTPServer(("127.0.0.1", 14001), Refuser)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(FOLDER + "/cert.pem", FOLDER + "/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
'''

REVOKING_SCRIPT = '''
"""Orders a name in the name of dehydrated's account and deactivates the authorisations that the order shows."""
import base64, glob, json, ssl, sys, urllib.request
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

DIRECTORY, NAME = sys.argv[1:]
ACCOUNT, = glob.glob("/data/ecs-acme/accounts/*/")
KEY = serialization.load_pem_private_key(open(ACCOUNT + "account_key.pem", "rb").read(), None)
KID = json.load(open(ACCOUNT + "account_id.json"))["url"]
TRUST = ssl._create_unverified_context()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def ask(url, data=None):
    request = urllib.request.Request(url, data, {"Content-Type": "application/jose+json"})
    return urllib.request.urlopen(request, context=TRUST)


URLS = json.load(ask(DIRECTORY))


def post(url, payload):
    nonce = ask(URLS["newNonce"]).headers["Replay-Nonce"]
    protected = b64(json.dumps({"alg": "RS256", "kid": KID, "url": url, "nonce": nonce}).encode())
    body = b64(json.dumps(payload).encode()) if payload is not None else ""
    signature = KEY.sign(f"{protected}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    signed = {"protected": protected, "payload": body, "signature": b64(signature)}
    return json.load(ask(url, json.dumps(signed).encode()))


order = post(URLS["newOrder"], {"identifiers": [{"type": "dns", "value": NAME}]})
for url in order["authorizations"]:
    before = post(url, None)["status"]
    print(before, post(url, {"status": "deactivated"})["status"])
'''
