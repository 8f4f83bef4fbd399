"""DKIM: the key that signs outgoing mail, and the DNS record with its public part."""

import base64
import re

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from ecs_appliance.env.pem import load_key

BITS = 2048
SELECTOR = "default"
# Longest string in a TXT record.
RECORD_CHARACTERS = 255


def make_key() -> str:
    """Return a new RSA private key, PEM."""
    return (
        generate_private_key(public_exponent=65537, key_size=BITS)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        .decode()
    )


def name(domain: str) -> str:
    """Return the name of the TXT record for mail from `domain`."""
    return f"{SELECTOR}._domainkey.{domain}"


def record(key: str) -> str:
    """Return the value of the TXT record for the PEM private key `key`, as one or more quoted strings.

    Raise ValueError if `key` is not a private key.
    """
    public = load_key(key).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
    return " ".join(f'"{part}"' for part in re.findall(f".{{1,{RECORD_CHARACTERS}}}", text))
