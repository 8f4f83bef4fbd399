"""Load and verify a server's private key and certificate chain."""

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
    """This key and certificate cannot be served; the message says why without revealing anything of the key."""


@dataclass(frozen=True)
class Credentials:
    """A usable pair: `key` and `chain` as PEM, the chain's first certificate, and the earliest expiry in the chain."""

    key: str = field(repr=False)
    chain: str = field(repr=False)
    leaf: x509.Certificate
    expires: datetime.datetime

    @property
    def pem(self) -> str:
        """Key and chain in one text, so that a server can never read one of them without the other."""
        return f"{self.key.strip()}\n{self.chain.strip()}\n"

    @property
    def lifetime(self) -> datetime.timedelta:
        return self.leaf.not_valid_after_utc - self.leaf.not_valid_before_utc

    @property
    def key_type(self) -> str:
        """`ecdsa`, `rsa`, or the class name of another type of key."""
        public = self.leaf.public_key()
        kinds = {ec.EllipticCurvePublicKey: "ecdsa", rsa.RSAPublicKey: "rsa"}
        return next((name for kind, name in kinds.items() if isinstance(public, kind)), type(public).__name__)

    def covers(self, name: str) -> bool:
        """Return whether the leaf is valid for `name`, a host name or an IP address."""
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
    """Return the credentials of the PEM texts `key` and `chain`, which begins with the server's own certificate.

    Raise CredentialsError if the key is encrypted, damaged or belongs to another certificate, if the chain is damaged
    or out of order, or if OpenSSL refuses them, for example because the key is too short.
    """
    try:
        pem.private_key(key)
        pem.certificates(chain)
        if not key.strip() or not chain.strip():
            raise ValueError("the private key or the certificate is missing")
        if not pem.belong_together(key, chain):
            raise ValueError("the first certificate does not match this private key")
        certificates = pem.load_certificates(chain)
        credentials = Credentials(key, chain, certificates[0], min(each.not_valid_after_utc for each in certificates))
        _check_servable(credentials)
    except ValueError as error:
        raise CredentialsError(str(error)) from None
    return credentials


def _check_servable(credentials: Credentials) -> None:
    """Load the pair with OpenSSL as a server would; it reads only files, so use one without a name."""
    descriptor = os.memfd_create("credentials")
    try:
        os.write(descriptor, credentials.pem.encode())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(f"/proc/self/fd/{descriptor}")
    except ssl.SSLError as error:
        reason = (error.reason or "unknown reason").replace("_", " ").lower()
        raise ValueError(f"servers cannot use it: {reason}") from None
    finally:
        os.close(descriptor)


def general_name(name: str) -> x509.GeneralName:
    """Return `name`, an IP address with or without brackets or a host name, in the form used in certificates."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)


def now() -> datetime.datetime:
    """Return the current time in UTC."""
    return datetime.datetime.now(datetime.UTC)
