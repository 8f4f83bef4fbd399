"""Checks that PEM keys and certificates can be used unattended."""

import itertools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

SMALLEST_RSA = 1024
BEGIN = re.compile(r"-----BEGIN ")
MARK = re.compile(r"-----(?:BEGIN|(END)) ([A-Z0-9 ]+)-----(?=\s|$)")


def private_key(text: str) -> str:
    """Accept one unencrypted PEM private key, or nothing. Raise ValueError, whose message shows nothing of the key."""
    if text.strip():
        load_key(text)
    return text


def rsa_key(text: str) -> str:
    """Accept one unencrypted RSA private key, as DKIM needs it, or nothing. Raise as `private_key` does."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415

    if text.strip():
        key = load_key(text)
        if not isinstance(key, RSAPrivateKey) or key.key_size < SMALLEST_RSA:
            raise ValueError(f"expected an RSA private key of {SMALLEST_RSA} bits or more")
    return text


def ssh_key(text: str) -> str:
    """Accept one unencrypted OpenSSH or PEM private key, or nothing. Raise as `private_key` does."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key  # noqa: PLC0415

    if "OPENSSH PRIVATE KEY" not in text:
        return private_key(text)
    try:
        load_ssh_private_key(text.encode(), password=None)
    except TypeError:
        raise ValueError("this private key has a passphrase, but must work unattended: remove the passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("this OpenSSH private key is damaged, or has a passphrase") from None
    return text


def certificates(text: str) -> str:
    """Accept a PEM certificate or chain, the server's own first, or nothing. Raise ValueError."""
    if text.strip():
        _check_order(load_certificates(text))
    return text


def authorities(text: str) -> str:
    """Accept PEM certificates in any order, or nothing. Raise ValueError."""
    if text.strip():
        load_certificates(text)
    return text


def load_certificates(text: str) -> "list[Certificate]":
    """Return the certificates in `text`. Raise ValueError that distinguishes a wrong block from a damaged one."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415

    odd = (x509.InvalidVersion, x509.UnsupportedGeneralNameType, x509.DuplicateExtension, UnsupportedAlgorithm)
    _check_blocks(text, "CERTIFICATE", "a PEM certificate")
    try:
        chain = x509.load_pem_x509_certificates(text.encode())
        for certificate in chain:
            # Parsed lazily: fail here rather than in the callers.
            certificate.public_key()
            list(certificate.extensions)
    except (ValueError, TypeError, *odd):
        raise ValueError("this PEM certificate is damaged") from None
    return chain


def unusable_since(chain: str) -> str:
    """Return why the certificates in `chain` (already checked) are expired or not yet valid; empty if all are valid."""
    from datetime import UTC, datetime  # noqa: PLC0415

    now = datetime.now(UTC)
    for number, certificate in enumerate(load_certificates(chain), start=1):
        if certificate.not_valid_after_utc < now:
            return f"certificate {number} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        if certificate.not_valid_before_utc > now:
            return f"certificate {number} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return ""


def belong_together(key: str, chain: str) -> bool:
    """Return whether the first certificate of `chain` is for `key`; both have been checked."""
    return load_certificates(chain)[0].public_key() == load_key(key).public_key()


def load_key(text: str) -> "PrivateKeyTypes":
    """Return the key in `text`. Raise ValueError that distinguishes wrong block, encrypted and damaged key."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    _check_blocks(text, "PRIVATE KEY", "a PEM private key")
    if "ENCRYPTED" in text:
        raise ValueError("this private key is encrypted, but must work unattended: decrypt it")
    try:
        return load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("this PEM private key is damaged") from None


def _check_blocks(text: str, kind: str, expected: str) -> None:
    """Raise ValueError unless `text` has blocks of `kind` only (one, for a key). EC parameters are allowed."""
    begun = BEGIN.findall(text)
    if not begun:
        raise ValueError(f"expected {expected}: -----BEGIN …{kind}-----")
    found = [label for label in _whole_blocks(text) if label != "EC PARAMETERS"]
    if len(begun) != len(_whole_blocks(text)):
        raise ValueError(f"expected {expected}: it is cut off, its END line is missing or damaged")
    wrong = next((label for label in found if not label.endswith(kind)), None)
    if wrong is not None:
        raise ValueError(f"expected {expected}, found a {wrong.lower()}")
    if kind == "PRIVATE KEY" and len(found) != 1:
        raise ValueError("expected one PEM private key, found several")


def _whole_blocks(text: str) -> list[str]:
    """Return the labels of the blocks that have both BEGIN and END, in order."""
    labels, opened = [], None
    for end, label in MARK.findall(text):
        if end and label == opened:
            labels.append(label)
        opened = None if end else label
    return labels


def _check_order(chain: "Sequence[Certificate]") -> None:
    """Raise ValueError unless each certificate was signed by the next one, as TLS requires."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415

    for number, (certificate, issuer) in enumerate(itertools.pairwise(chain), start=1):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise ValueError(
                f"the chain is not in order: certificate {number + 1} is not the issuer of certificate {number}; "
                "put the server's own first, then the one that signed it, and so on"
            ) from None
