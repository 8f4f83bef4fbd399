"""Certificate authorities for tests: server and client certificates of every kind, valid and invalid."""

import datetime
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ecs_appliance.tls.credentials import general_name

DAY = datetime.timedelta(days=1)
SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def moment(days: float = 0) -> datetime.datetime:
    """Return the time `days` days from now."""
    return datetime.datetime.now(datetime.UTC) + days * DAY


def key_text(key: Key) -> str:
    """Return `key` as unencrypted PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def pem(certificate: x509.Certificate) -> str:
    """Return `certificate` as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class Authority:
    """A CA that issues any certificate asked for; `days` is its validity, in days from now (start, end)."""

    name: str = "test CA"
    parent: "Authority | None" = None
    key: Key = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    days: tuple[float, float] = (-400, 3650)

    def __post_init__(self) -> None:
        subject = _subject(self.name)
        signer = self.parent or self
        builder = (
            _builder(subject, _subject(signer.name), self.key, self.days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(SIGNS, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        )
        self.certificate = builder.sign(signer.key, hashes.SHA256())

    @property
    def chain(self) -> str:
        """The certificates of this CA and of those above it, root last, as PEM."""
        return pem(self.certificate) + (self.parent.chain if self.parent else "")

    def server(
        self, *names: str, days: tuple[float, float] = (-1, 90), key: Key | None = None, crl_url: str = ""
    ) -> tuple[str, str]:
        """Issue a server certificate for `names`; return its key and chain (without the root), as PEM.

        `crl_url` is the certificate's CRL distribution point.
        """
        private = key or ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_subject(names[0]), self.certificate.subject, private, days)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False
        ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        if crl_url:
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        leaf = builder.sign(self.key, hashes.SHA256())
        return key_text(private), pem(leaf) + (self.chain if self.parent else "")

    def client(self, name: str, *, days: tuple[float, float] = (-1, 90)) -> tuple[str, x509.Certificate]:
        """Issue a client certificate; return its key, as PEM, and the certificate."""
        private = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_subject(name), self.certificate.subject, private, days).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        return key_text(private), builder.sign(self.key, hashes.SHA256())

    def revocation_list(self, *revoked: int, days: tuple[float, float] = (-1, 365)) -> str:
        """Return the revocation list with the serials `revoked`, as PEM."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(moment(days[0]))
            .next_update(moment(days[1]))
        )
        for serial in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment(-0.5)).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, days: tuple[float, float]) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment(days[0]))
        .not_valid_after(moment(days[1]))
    )
