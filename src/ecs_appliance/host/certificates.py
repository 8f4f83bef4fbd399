"""X.509 as nginx needs it: a self-signed server certificate, and a client CA that is always readable."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ecs_appliance.core.files import read_untrusted, write_atomic, write_changed

SELF_SIGNED_DAYS = 3650
# Renewed so early that nobody meets an expired one.
RENEW_DAYS = 90
# The application makes them, in bytes.
LARGEST_FILE = 1024 * 1024
STAND_IN_NAME = "no client CA yet"


def ensure_self_signed(cert: Path, key: Path, names: list[str]) -> bool:
    """Make a self-signed certificate for `names` (host names or addresses) unless one serves already.

    Returns whether it made one. The key is EC P-256, mode 0600.
    """
    if key.is_file() and _serves(cert, names):
        return False
    private = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(names[0], private, days=SELF_SIGNED_DAYS)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
    )
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    certificate = builder.sign(private, hashes.SHA256())
    write_atomic(key, _key_pem(private), mode=0o600)
    write_atomic(cert, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return True


def deploy_client_ca(source: Path, target: Path) -> bool:
    """Give nginx the application's client CA and revocation list, both from the folder `source`, in `target`.

    Only a pair that belongs together is taken; else the last good one stays, and where there is none, a stand-in
    that no client certificate can match. Returns whether `target` changed.
    """
    pair = _valid_pair(source)
    if pair is None:
        if _valid_pair(target) is not None:
            return False
        pair = _stand_in()
    changed = [write_changed(target / name, data, mode=0o644) for name, data in pair.items()]
    return any(changed)


def client_ca_is_current(source: Path, target: Path) -> bool:
    """Whether `deploy_client_ca` would change nothing."""
    pair = _valid_pair(source)
    deployed = _valid_pair(target)
    return deployed is not None and (pair is None or pair == deployed)


def client_ca_is_usable(source: Path) -> bool:
    """Whether the folder `source` has a client CA and a revocation list that belong together."""
    return _valid_pair(source) is not None


def self_signed_is_current(cert: Path, key: Path, names: list[str]) -> bool:
    """Whether `ensure_self_signed` would change nothing."""
    return key.is_file() and _serves(cert, names)


def _serves(cert: Path, names: list[str]) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(cert.read_bytes())
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    left = certificate.not_valid_after_utc - _now()
    return set(held) == {_general_name(name) for name in names} and left.days >= RENEW_DAYS


def _valid_pair(folder: Path) -> dict[str, bytes] | None:
    """The files of `folder`, to which the application's containers may write whatever they like."""
    try:
        pair = {name: read_untrusted(folder / name, LARGEST_FILE) for name in ("ca.cert.pem", "crl.pem")}
        authority = x509.load_pem_x509_certificate(pair["ca.cert.pem"])
        revoked = x509.load_pem_x509_crl(pair["crl.pem"])
        signed = revoked.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    return pair if signed else None


def _stand_in() -> dict[str, bytes]:
    private = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(STAND_IN_NAME, private, days=SELF_SIGNED_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    revoked = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(_now())
        .next_update(_now() + datetime.timedelta(days=SELF_SIGNED_DAYS))
        .sign(private, hashes.SHA256())
    )
    return {
        "ca.cert.pem": certificate.public_bytes(serialization.Encoding.PEM),
        "crl.pem": revoked.public_bytes(serialization.Encoding.PEM),
    }


def _builder(name: str, private: ec.EllipticCurvePrivateKey, *, days: int) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(hours=1))
        .not_valid_after(_now() + datetime.timedelta(days=days))
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
