"""Compare `appliance env create` with how the predecessor created the same secrets: gpg and openssl in sequence.

Run it from the checkout: ./.venv/bin/python -m benchmarks.create
Goal: at most 1.5 s. The time to find primes varies, so the median of 21 rounds counts.
"""

import shlex
import tempfile
from pathlib import Path

from benchmarks.measure import interleave, show
from ecs_appliance.env.pgp_keys import USERS

ROUNDS = 21
CHECKOUT = Path(__file__).parents[1]
# The predecessor's work for the same secrets, without writing or checking a file.
PEER = """\
set -eu
export GNUPGHOME={home}
mkdir -m 0700 "$GNUPGHOME"
trap 'gpgconf --kill all' EXIT
for user in {users}; do
    printf '%s\\n' %no-protection 'Key-Type: RSA' 'Key-Length: 3072' "Name-Real: $user" 'Expire-Date: 0' %commit |
        gpg --batch --quiet --gen-key
    gpg --batch --armor --export-secret-keys "$user"
done
openssl genrsa 2048
for _ in 1 2 3; do openssl rand -base64 39; done
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = interleave(
            {
                "gpg, openssl": lambda n: ["sh", "-c", peer(folder / f"{n}.gnupg")],
                "appliance env create": lambda n: [
                    CHECKOUT / "appliance",
                    *("env", "create", "ecs.example.org", folder / f"{n}.yml"),
                ],
            },
            ROUNDS,
        )
    print(f"{ROUNDS} rounds, interleaved; seconds")
    show(seconds, beside="gpg, openssl")


def peer(home: Path) -> str:
    """Return the shell script that creates the secrets with a keyring in the new folder `home`."""
    return PEER.format(home=shlex.quote(str(home)), users=" ".join(USERS.values()))


if __name__ == "__main__":
    main()
