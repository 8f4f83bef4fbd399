"""Makes OpenPGP keys: OpenSSL finds the primes, gpg makes a key of them, in a keyring that is gone again afterwards."""

import hashlib
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from ecs_appliance.core.runner import Runner

# BSI TR-02102 asks for 3000 and more where data must stay secret for years.
BITS = 3072
SECONDS = 120
# No configuration of this account or machine decides what the key is like.
OPTIONS = ("--batch", "--quiet", "--no-options", "--no-auto-check-trustdb", "--rfc4880", "--cert-digest-algo=SHA512")
# Only what gpg 1.4, which the application has, can read and do.
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
    """An armored, unprotected RSA private key without expiry for the user id `name`.

    Raises CommandError where gpg is missing or fails; the agent gpg starts is stopped, also then.
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
    """Put `key` where gpg's agent keeps its keys, as GnuPG's agent/keyformat.txt has it; return its name there."""
    secret = key.private_numbers()
    modulus = _integer(secret.public_numbers.n)
    # Unlike OpenSSL, libgcrypt has the smaller prime first.
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
    """Of `value`, which is positive, the bytes with the highest first; the first bit stays clear."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _atom(data: bytes) -> bytes:
    return b"%d:%b" % (len(data), data)
