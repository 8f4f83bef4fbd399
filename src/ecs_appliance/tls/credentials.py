"""A server's private key with its certificate chain, usable or refused with the reason."""

import datetime
import ipaddress
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.env import pem


class CredentialsError(ApplianceError):
    """This key and certificate cannot be served; the message says why and shows nothing of the key."""


@dataclass(frozen=True)
class Credentials:
    """`key` and `chain` are PEM texts, `leaf` is the first certificate of the chain."""

    key: str = field(repr=False)
    chain: str = field(repr=False)
    leaf: x509.Certificate

    @property
    def pem(self) -> str:
        """Both in one text, so that one file holds them and no server ever reads the one without the other."""
        return f"{self.key.strip()}\n{self.chain.strip()}\n"

    @property
    def expires(self) -> datetime.datetime:
        return self.leaf.not_valid_after_utc

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

    Raises CredentialsError for an encrypted, damaged or foreign key, and for a damaged or reordered chain.
    """
    try:
        pem.private_key(key)
        pem.certificates(chain)
        if not key.strip() or not chain.strip():
            raise ValueError("the private key or the certificate is missing")
        if not pem.belong_together(key, chain):
            raise ValueError("the first certificate is not for this private key")
        leaf = x509.load_pem_x509_certificates(chain.encode())[0]
    except ValueError as error:
        raise CredentialsError(str(error)) from None
    return Credentials(key, chain, leaf)


def general_name(name: str) -> x509.GeneralName:
    """`name` as certificates have it: an address, in brackets or not, or a host name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)


def now() -> datetime.datetime:
    """This moment, as certificates count time."""
    return datetime.datetime.now(datetime.UTC)
