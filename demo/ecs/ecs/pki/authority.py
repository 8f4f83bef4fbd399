"""The CA of the client certificates: key and certificate in the database; certificate and revocation list in files."""
import os
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from ecs.pki.models import Certificate, CertificateAuthority

CA_DAYS, CRL_DAYS = 3650, 365
PEM = serialization.Encoding.PEM


def pem_of_key(key) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def name(cn: str, email: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, cn), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ECS")]
    if email:
        parts.append(x509.NameAttribute(NameOID.EMAIL_ADDRESS, email))
    return x509.Name(parts)


def builder(subject: x509.Name, issuer: x509.Name, key, serial: int, days: int) -> x509.CertificateBuilder:
    now = timezone.now()
    return x509.CertificateBuilder(
        issuer, subject, key.public_key(), serial, now - timedelta(minutes=5), now + timedelta(days=days)
    )


def create() -> CertificateAuthority:
    key = rsa.generate_private_key(65537, 3072)
    ca = name(f"{settings.DOMAIN} client CA"[:64])
    cert = (
        builder(ca, ca, key, x509.random_serial_number(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return CertificateAuthority.objects.create(key=pem_of_key(key).decode(), cert=cert.public_bytes(PEM).decode())


def load():
    """Return the key and certificate of the CA, which is created at first use."""
    with transaction.atomic():
        stored = CertificateAuthority.objects.select_for_update().order_by("pk").first() or create()
    key = serialization.load_pem_private_key(stored.key.encode(), None)
    return key, x509.load_pem_x509_certificate(stored.cert.encode())


def write_files() -> None:
    _, cert = load()
    Path(settings.PKI_DIR, "ca.cert.pem").write_bytes(cert.public_bytes(PEM))
    write_crl()


def write_crl() -> None:
    """Write the list in place, so that a watch on the file notices the change."""
    key, cert = load()
    now = timezone.now()
    revoked = Certificate.objects.exclude(revoked_at=None).order_by("serial")
    crl = x509.CertificateRevocationListBuilder(
        cert.subject, now - timedelta(minutes=5), now + timedelta(days=CRL_DAYS)
    ).add_extension(x509.CRLNumber(revoked.count() + 1), critical=False)
    for certificate in revoked:
        crl = crl.add_revoked_certificate(
            x509.RevokedCertificateBuilder(certificate.serial, certificate.revoked_at).build()
        )
    Path(settings.PKI_DIR, "crl.pem").write_bytes(crl.sign(key, hashes.SHA256()).public_bytes(PEM))


@dataclass
class Issued:
    key: bytes
    cert: bytes
    ca: bytes
    subject: str
    expires_at: datetime

    def write_pkcs12(self, path, passphrase: str) -> None:
        """Write a PKCS #12 file with the old ciphers (RC2-40, 3DES) that every browser can import."""
        with tempfile.TemporaryDirectory() as folder:
            pem = Path(folder, "pem")
            pem.touch(mode=0o600)
            pem.write_bytes(self.key + self.cert + self.ca)
            with open(path, "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as target:
                subprocess.run(
                    ["openssl", "pkcs12", "-export", "-legacy", "-in", pem, "-passout", "stdin"],
                    input=passphrase.encode(), stdout=target, check=True, timeout=60,
                )


def issue(cn: str, email: str, serial: int, days: int) -> Issued:
    """Return a new key and a certificate for client authentication; nothing is stored."""
    ca_key, ca = load()
    key = rsa.generate_private_key(65537, 2048)
    cert = (
        builder(name(cn, email), ca.subject, key, serial, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Issued(
        pem_of_key(key), cert.public_bytes(PEM), ca.public_bytes(PEM),
        cert.subject.rfc4514_string(), cert.not_valid_after_utc,
    )
