"""The login page, asked for as the application, and as a visitor, meets such a request."""

import http.client
import socket
import ssl

from ecs_appliance.env.model import Env

LOGIN = "/accounts/login/"
HOST, TLS_PORT, APPLICATION_PORT = "127.0.0.1", 443, 5001
SECONDS = 10.0
# As the frontend calls itself where it asks the application.
AGENT = "appliance"


def ask_application(domain: str) -> int | None:
    """Return the status of the application's login page through nginx, past the status page; None without an answer."""
    return _ask(http.client.HTTPConnection(HOST, APPLICATION_PORT, timeout=SECONDS), domain)


def ask_as_visitor(env: Env) -> str:
    """Return what a visitor of the login page meets instead; empty where it is there.

    Where certificates are mandatory a visitor without one is turned away at the door: the application is asked then.
    """
    domain = env.appliance.domain
    status = _ask_by_tls(domain)
    if status == http.client.FORBIDDEN and env.appliance.ssl.client_certs_mandatory:
        status = ask_application(domain)
    if status is None:
        return "nobody answers at port 443"
    return "" if status == http.client.OK else f"the login page has status {status}"


def _ask_by_tls(domain: str) -> int | None:
    """As `ask_application`, under the name `domain`; whatever certificate is served: others look at that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPConnection(HOST, TLS_PORT, timeout=SECONDS)
    try:
        plain = socket.create_connection((HOST, TLS_PORT), timeout=SECONDS)
        connection.sock = context.wrap_socket(plain, server_hostname=domain)
    except OSError:
        return None
    return _ask(connection, domain)


def _ask(connection: http.client.HTTPConnection, domain: str) -> int | None:
    try:
        connection.request("GET", LOGIN, headers={"Host": domain, "User-Agent": AGENT})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
