"""Makes OpenPGP keys with gpg, each in a keyring of its own that is gone again afterwards."""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ecs_appliance.core.runner import Runner

# BSI TR-02102 asks for 3000 and more where data must stay secret for years.
BITS = 3072
GENERATE_SECONDS = 120
# Only what gpg 1.4, which the application has, can read and do.
PREFERENCES = "SHA512 SHA384 SHA256 AES256 AES192 AES ZLIB ZIP Uncompressed"
BATCH = """\
%no-protection
Key-Type: RSA
Key-Length: {bits}
Key-Usage: sign,encrypt
Name-Real: {name}
Expire-Date: 0
Preferences: {preferences}
%commit
"""


def make_keys(names: Sequence[str], runner: Runner) -> list[str]:
    """An armored, unprotected RSA private key without expiry for each user id of `names`, made side by side.

    Raises CommandError where gpg is missing or fails.
    """
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        return list(pool.map(lambda name: make_key(name, runner), names))


def make_key(name: str, runner: Runner) -> str:
    """One such key; the agent gpg starts is stopped, also where gpg fails."""
    with tempfile.TemporaryDirectory(prefix="pgp-") as folder:
        home = Path(folder)
        environment = {"GNUPGHOME": folder, "HOME": folder}
        gpg = ["gpg", "--batch", "--quiet", "--no-options", "--rfc4880"]
        batch = BATCH.format(bits=BITS, name=name, preferences=PREFERENCES)
        try:
            runner.run([*gpg, "--generate-key"], input=batch, env=environment, timeout=GENERATE_SECONDS)
            exported = runner.run([*gpg, "--armor", "--export-secret-keys"], env=environment, timeout=GENERATE_SECONDS)
        finally:
            runner.run(["gpgconf", "--homedir", home, "--kill", "all"], env=environment, timeout=30, ok=(0, 1, 2))
    return exported.stdout
