"""Deploy the client CA and its revocation list for nginx: always the last pair that nginx can load."""

import datetime
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import read_untrusted, write_changed
from ecs_appliance.tls.credentials import now
from ecs_appliance.tls.snakeoil import self_issued

AUTHORITY, LIST = "ca.cert.pem", "crl.pem"
# nginx reads this file, which contains both, so that both change atomically. The other two are for people and tools.
TRUSTED = "trusted.pem"
STAND_IN_DAYS = 3650
# In bytes, since the application writes the files; a list of a hundred thousand revoked certificates has 5 MB.
LARGEST_FILE = 16 * 1024 * 1024
MOST_ROUNDS = 10
STAND_IN_NAME = "no client CA yet"


class ClientCAError(ApplianceError):
    """nginx cannot use the client CA and its revocation list; the message says why."""


class MissingClientCAError(ClientCAError):
    """The application has not written a client CA yet."""


@dataclass(frozen=True)
class ClientCA:
    """A client CA's certificate and its revocation list."""

    authority: x509.Certificate
    revoked: x509.CertificateRevocationList

    @property
    def pem(self) -> bytes:
        """Both as PEM, without anything else from the files that they were read from."""
        return self.authority.public_bytes(Encoding.PEM) + self.revoked.public_bytes(Encoding.PEM)

    @property
    def files(self) -> dict[str, bytes]:
        """The contents of nginx's folder by file name, in the order in which they are written."""
        return {
            TRUSTED: self.pem,
            AUTHORITY: self.authority.public_bytes(Encoding.PEM),
            LIST: self.revoked.public_bytes(Encoding.PEM),
        }

    @property
    def is_placeholder(self) -> bool:
        """Return whether this is our placeholder, which matches no client certificate."""
        names = self.authority.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [name.value for name in names] == [STAND_IN_NAME]


def read_client_ca(folder: Path) -> ClientCA:
    """Read and verify the pair in `folder`, whose contents are untrusted. Raise ClientCAError."""
    try:
        authority = x509.load_pem_x509_certificate(read_untrusted(folder / AUTHORITY, LARGEST_FILE))
        revoked = x509.load_pem_x509_crl(read_untrusted(folder / LIST, LARGEST_FILE))
        pair = ClientCA(authority, revoked)
        reason = _unfit(pair)
    except FileNotFoundError as error:
        raise MissingClientCAError(f"{error.filename} is missing") from None
    except OSError as error:
        raise ClientCAError(f"{error.filename} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise ClientCAError(f"{folder} contains no readable client CA and revocation list") from None
    if reason:
        raise ClientCAError(f"{folder}: {reason}")
    return pair


def current_client_ca(folder: Path) -> ClientCA | None:
    """Return the pair in nginx's `folder`, even if expired; None if it cannot be read."""
    try:
        content = read_untrusted(folder / TRUSTED, 2 * LARGEST_FILE)
        return ClientCA(x509.load_pem_x509_certificate(content), x509.load_pem_x509_crl(content))
    except (OSError, ValueError, x509.InvalidVersion):
        return None


def deploy_client_ca(source: Path, target: Path) -> bool:
    """Copy the application's client CA and revocation list from the folder `source` to nginx's folder `target`.

    Only a matching and currently valid pair is copied. Otherwise the last good one stays or, without one, a placeholder
    is written that no client certificate can match. Return whether `target` changed.
    """
    # Repeated until nothing is left to write: the application, or another process doing the same, may write meanwhile.
    # Bounded, in case the application never stops writing; its next change triggers another run.
    for rounds in range(MOST_ROUNDS):
        if not _write(target, _wanted(source, target)):
            return rounds > 0
    return True


def client_ca_is_current(source: Path, target: Path) -> bool:
    """Return whether `deploy_client_ca` would change nothing."""
    current = current_client_ca(target)
    if current is None:
        return False
    files = _wanted(source, target).files
    return all((target / name).is_file() and (target / name).read_bytes() == data for name, data in files.items())


def _write(target: Path, pair: ClientCA) -> bool:
    return any([write_changed(target / name, data, mode=0o644) for name, data in pair.files.items()])


def _wanted(source: Path, target: Path) -> ClientCA:
    try:
        return read_client_ca(source)
    except ClientCAError:
        return current_client_ca(target) or _placeholder()


def _unfit(pair: ClientCA) -> str:
    """Return why nginx cannot use `pair` now; "" if it can."""
    authority, revoked, moment = pair.authority, pair.revoked, now()
    if revoked.issuer != authority.subject or not revoked.is_signature_valid(authority.public_key()):  # type: ignore[arg-type]
        return "the revocation list was not issued by this client CA"
    reasons = {
        "the certificate is not a CA certificate": _is_leaf(authority),
        "the client CA is not valid yet": authority.not_valid_before_utc > moment,
        "the client CA has expired": authority.not_valid_after_utc <= moment,
        "the revocation list is not valid yet": revoked.last_update_utc > moment,
        "the revocation list has expired": (end := revoked.next_update_utc) is not None and end <= moment,
        "OpenSSL refuses them": not _loads(pair),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _is_leaf(certificate: x509.Certificate) -> bool:
    """Return whether `certificate` declares that it is no CA; very old ones do not declare it."""
    try:
        return not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _loads(pair: ClientCA) -> bool:
    """Return whether OpenSSL loads them, by the same function that nginx uses."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.pem)
        file.flush()
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(file.name)
        except ssl.SSLError:
            return False
    return True


def _placeholder() -> ClientCA:
    private = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        self_issued(STAND_IN_NAME, private, days=STAND_IN_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    revoked = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(now())
        .next_update(now() + datetime.timedelta(days=STAND_IN_DAYS))
        .sign(private, hashes.SHA256())
    )
    return ClientCA(certificate, revoked)
