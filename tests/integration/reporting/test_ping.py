"""Pings reach any server that the system trusts, such as one with a closed network's own CA."""

import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from ecs_appliance.core.runner import CommandError, SystemRunner
from tests import authorities

PING = "import sys; from ecs_appliance.reporting.ping import ping; ping(sys.argv[1], {'ok': '1'})"
# In its own mount namespace, the system trusts the CAs in a folder of the test's.
WITH_TRUST = 'mount --bind "$1" /etc/ssl/certs; shift; exec "$@"'


class Watch(BaseHTTPRequestHandler):
    """Accept every ping."""

    def do_POST(self) -> None:  # name required by the base class
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def test_a_ping_trusts_the_systems_authorities_and_no_others(tmp_path: Path) -> None:
    authority, trusted, empty = authorities.Authority("a clinic's own CA"), tmp_path / "trusted", tmp_path / "empty"
    for folder in (trusted, empty):
        folder.mkdir()
    (trusted / "ca.pem").write_text(authority.chain)
    runner = SystemRunner()
    runner.run(["openssl", "rehash", trusted], timeout=10)
    (tmp_path / "server.pem").write_text("".join(authority.server("127.0.0.1")))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Watch) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def ping(store: Path) -> None:
            command = [sys.executable, "-c", PING, f"https://127.0.0.1:{server.server_port}/"]
            runner.run(["unshare", "--mount", "sh", "-ec", WITH_TRUST, "sh", store, *command], timeout=60)

        try:
            ping(trusted)
            with pytest.raises(CommandError, match="does not accept the ping: ConnectError"):
                ping(empty)
        finally:
            server.shutdown()
            thread.join()
