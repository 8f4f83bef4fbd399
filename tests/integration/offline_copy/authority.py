"""A certificate authority, and a server with a certificate of it."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from tests import authorities


@dataclass(frozen=True)
class Authority:
    """The `file` with its certificate, and the `context` of its server."""

    file: Path
    context: ssl.SSLContext


def found_authority(folder: Path) -> Authority:
    """Create an authority with its files in `folder`; its server is 127.0.0.1 and mail.example.org."""
    made = authorities.Authority("test authority")
    (folder / "authority.pem").write_text(made.chain)
    (folder / "server.pem").write_text("".join(made.server("127.0.0.1", "mail.example.org")))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    return Authority(folder / "authority.pem", context)
