"""DKIM: the key that signs outgoing mail, and the DNS record by which others know it."""

import base64
import re

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from ecs_appliance.env.pem import load_key

BITS = 2048
SELECTOR = "default"
# A string of a TXT record holds no more.
RECORD_CHARACTERS = 255


def make_key() -> str:
    """A fresh RSA private key, PEM."""
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
    """The name of the TXT record for mail from `domain`."""
    return f"{SELECTOR}._domainkey.{domain}"


def record(key: str) -> str:
    """What the TXT record of the private key `key` says, in as many quoted strings as it takes.

    Raises ValueError where `key` is no private key.
    """
    public = load_key(key).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
    return " ".join(f'"{part}"' for part in re.findall(f".{{1,{RECORD_CHARACTERS}}}", text))
