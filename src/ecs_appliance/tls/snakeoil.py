"""Create the self-signed placeholder certificate that is served while there is no other."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ecs_appliance.core.files import read_optional, write_atomic
from ecs_appliance.core.paths import Paths
from ecs_appliance.tls.credentials import Credentials, CredentialsError, general_name, now, read_credentials

DAYS = 3650
# Renewed early enough that an expired one is never served.
RENEW_DAYS = 90


def held_snakeoil(paths: Paths, names: tuple[str, ...]) -> Credentials | None:
    """Return this machine's self-signed certificate if it is for exactly `names` and not due for renewal, else None."""
    folder = paths.nginx
    key, cert = (read_optional(folder / f"snakeoil.{part}.pem") for part in ("key", "cert"))
    try:
        held = read_credentials(key or "", cert or "")
        alternatives = held.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (CredentialsError, x509.ExtensionNotFound):
        return None
    fits = set(alternatives) == {general_name(name) for name in names}
    return held if fits and (held.expires - now()).days >= RENEW_DAYS else None


def ensure_snakeoil(paths: Paths, names: tuple[str, ...]) -> Credentials:
    """Return the self-signed certificate for `names`, created if necessary. The key is EC P-256, mode 0600."""
    held = held_snakeoil(paths, names)
    if held is not None:
        return held
    private = ec.generate_private_key(ec.SECP256R1())
    alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
    certificate = (
        self_issued(names[0], private, days=DAYS)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM).decode()
    key = key_pem(private)
    write_atomic(paths.nginx / "snakeoil.key.pem", key, mode=0o600)
    write_atomic(paths.nginx / "snakeoil.cert.pem", chain, mode=0o644)
    return Credentials(key, chain, certificate, certificate.not_valid_after_utc)


def self_issued(name: str, private: ec.EllipticCurvePrivateKey, *, days: int) -> x509.CertificateBuilder:
    """Return the builder of a self-issued certificate, valid from an hour ago until `days` from now."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - datetime.timedelta(hours=1))
        .not_valid_after(now() + datetime.timedelta(days=days))
    )


def key_pem(private: ec.EllipticCurvePrivateKey) -> str:
    """Return `private` as unencrypted PEM."""
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
