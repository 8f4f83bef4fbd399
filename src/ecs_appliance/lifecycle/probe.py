"""Probe the login page, at the application and as a visitor."""

import http.client
import socket
import ssl

from ecs_appliance.env.model import Env

LOGIN = "/accounts/login/"
HOST, TLS_PORT, APPLICATION_PORT = "127.0.0.1", 443, 5001
SECONDS = 10.0
# The name that the frontend uses for its own requests to the application.
AGENT = "appliance"


def ask_application(domain: str) -> int | None:
    """Return the HTTP status of the login page, through nginx but bypassing the status page; None without an answer."""
    return _ask(http.client.HTTPConnection(HOST, APPLICATION_PORT, timeout=SECONDS), domain)


def ask_as_visitor(env: Env) -> str:
    """Return what a visitor gets instead of the login page; empty if the page is there.

    If client certificates are mandatory, nginx refuses a visitor without one; the application is asked instead.
    """
    domain = env.appliance.domain
    status = _ask_by_tls(domain)
    if status == http.client.FORBIDDEN and env.appliance.ssl.client_certs_mandatory:
        status = ask_application(domain)
    if status is None:
        return "no answer on port 443"
    return "" if status == http.client.OK else f"the login page returns status {status}"


def _ask_by_tls(domain: str) -> int | None:
    """As `ask_application`, but by TLS under the name `domain`. Accepts any certificate: others check that."""
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
