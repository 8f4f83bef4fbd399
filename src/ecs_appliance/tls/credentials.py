"""A server's private key with its certificate chain, usable or refused with the reason."""

import datetime
import ipaddress
import os
import ssl
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.env import pem


class CredentialsError(ApplianceError):
    """This key and certificate cannot be served; the message says why and shows nothing of the key."""


@dataclass(frozen=True)
class Credentials:
    """`key` and `chain` are PEM texts, `leaf` is the first certificate of the chain, `expires` the first end in it."""

    key: str = field(repr=False)
    chain: str = field(repr=False)
    leaf: x509.Certificate
    expires: datetime.datetime

    @property
    def pem(self) -> str:
        """Both in one text, so that one file holds them and no server ever reads the one without the other."""
        return f"{self.key.strip()}\n{self.chain.strip()}\n"

    @property
    def lifetime(self) -> datetime.timedelta:
        return self.leaf.not_valid_after_utc - self.leaf.not_valid_before_utc

    @property
    def key_type(self) -> str:
        """ecdsa, rsa, or the class of another kind of key."""
        public = self.leaf.public_key()
        kinds = {ec.EllipticCurvePublicKey: "ecdsa", rsa.RSAPublicKey: "rsa"}
        return next((name for kind, name in kinds.items() if isinstance(public, kind)), type(public).__name__)

    def covers(self, name: str) -> bool:
        """Whether a client that asks for `name` (a host name or an address) accepts the leaf's names."""
        try:
            held = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return False
        general = general_name(name)
        if isinstance(general, x509.IPAddress):
            return general in held
        parent = name.partition(".")[2]
        known = {text.lower() for text in held.get_values_for_type(x509.DNSName)}
        return name.lower() in known or f"*.{parent}".lower() in known


def read_credentials(key: str, chain: str) -> Credentials:
    """The pair of PEM texts `key` and `chain`, the server's own certificate first.

    Raises CredentialsError for an encrypted, damaged or foreign key, for a damaged or reordered chain, and for what
    OpenSSL serves nobody, such as keys that are too short.
    """
    try:
        pem.private_key(key)
        pem.certificates(chain)
        if not key.strip() or not chain.strip():
            raise ValueError("the private key or the certificate is missing")
        if not pem.belong_together(key, chain):
            raise ValueError("the first certificate is not for this private key")
        certificates = pem.load_certificates(chain)
        credentials = Credentials(key, chain, certificates[0], min(each.not_valid_after_utc for each in certificates))
        _check_servable(credentials)
    except ValueError as error:
        raise CredentialsError(str(error)) from None
    return credentials


def _check_servable(credentials: Credentials) -> None:
    """Let OpenSSL take the pair as a server would; it reads files only, and this one has no name."""
    descriptor = os.memfd_create("credentials")
    try:
        os.write(descriptor, credentials.pem.encode())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(f"/proc/self/fd/{descriptor}")
    except ssl.SSLError as error:
        reason = (error.reason or "unknown reason").replace("_", " ").lower()
        raise ValueError(f"no server can use it: {reason}") from None
    finally:
        os.close(descriptor)


def general_name(name: str) -> x509.GeneralName:
    """`name` as certificates have it: an address, in brackets or not, or a host name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)


def now() -> datetime.datetime:
    """This moment, as certificates count time."""
    return datetime.datetime.now(datetime.UTC)
