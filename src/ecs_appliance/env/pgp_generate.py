"""Creates OpenPGP keys: OpenSSL generates the RSA key, gpg turns it into an OpenPGP key in a temporary keyring."""

import hashlib
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from ecs_appliance.core.runner import Runner

# BSI TR-02102 requires at least 3000 for data that must stay secret for years.
BITS = 3072
SECONDS = 120
# The key must not depend on the configuration of this account or machine.
OPTIONS = ("--batch", "--quiet", "--no-options", "--no-auto-check-trustdb", "--rfc4880", "--cert-digest-algo=SHA512")
# Only what gpg 1.4, which the application uses, supports.
PREFERENCES = "SHA512 SHA384 SHA256 AES256 AES192 AES ZLIB ZIP Uncompressed"
BATCH = """\
%no-protection
Key-Type: RSA
Key-Grip: {grip}
Key-Usage: sign,encrypt
Name-Real: {name}
Expire-Date: 0
Preferences: {preferences}
%commit
"""


def make_key(name: str, runner: Runner) -> str:
    """Return a new armored RSA private key for the user ID `name`, without passphrase and expiry.

    Raise CommandError if gpg is missing or fails. The agent that gpg starts is stopped in any case.
    """
    with tempfile.TemporaryDirectory(prefix="pgp-") as folder:
        environment = {"GNUPGHOME": folder, "HOME": folder}
        grip = _hand_over(generate_private_key(public_exponent=65537, key_size=BITS), Path(folder))
        batch = BATCH.format(grip=grip, name=name, preferences=PREFERENCES)
        gpg = ["gpg", *OPTIONS]
        try:
            runner.run([*gpg, "--generate-key"], input=batch, env=environment, timeout=SECONDS)
            exported = runner.run([*gpg, "--armor", "--export-secret-keys"], env=environment, timeout=SECONDS)
        finally:
            runner.run(["gpgconf", "--homedir", folder, "--kill", "all"], env=environment, timeout=30, ok=(0, 1, 2))
    return exported.stdout


def _hand_over(key: RSAPrivateKey, home: Path) -> str:
    """Write `key` to the key store of gpg's agent (format: GnuPG's agent/keyformat.txt) and return its keygrip."""
    secret = key.private_numbers()
    modulus = _integer(secret.public_numbers.n)
    # libgcrypt requires p < q; OpenSSL does not.
    p, q = sorted((secret.p, secret.q))
    values = {"e": secret.public_numbers.e, "d": secret.d, "p": p, "q": q, "u": pow(p, -1, q)}
    others = b"".join(b"(1:%b%b)" % (name.encode(), _atom(_integer(value))) for name, value in values.items())
    grip = hashlib.sha1(modulus, usedforsecurity=False).hexdigest().upper()
    file = home / f"private-keys-v1.d/{grip}.key"
    file.parent.mkdir(mode=0o700)
    file.touch(mode=0o600)
    file.write_bytes(b"(11:private-key(3:rsa(1:n%b)%b))" % (_atom(modulus), others))
    return grip


def _integer(value: int) -> bytes:
    """Encode the positive `value` as big-endian bytes with the sign bit clear."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _atom(data: bytes) -> bytes:
    return b"%d:%b" % (len(data), data)
