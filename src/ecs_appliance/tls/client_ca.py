"""The client CA and its revocation list as nginx has them: always a pair that it can read."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ecs_appliance.core.files import read_untrusted, write_changed
from ecs_appliance.tls.credentials import now
from ecs_appliance.tls.snakeoil import self_issued

STAND_IN_DAYS = 3650
# The application makes them, in bytes.
LARGEST_FILE = 1024 * 1024
STAND_IN_NAME = "no client CA yet"


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
    return {
        "ca.cert.pem": certificate.public_bytes(serialization.Encoding.PEM),
        "crl.pem": revoked.public_bytes(serialization.Encoding.PEM),
    }
