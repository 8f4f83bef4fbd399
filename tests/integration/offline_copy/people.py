"""People with OpenPGP keys, each in its own keyring, created and read by real gpg."""

from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.runner import SystemRunner

BOTH = ("ed25519", "sign"), ("cv25519", "encr")


@dataclass(frozen=True)
class Person:
    """A person with the private key `fingerprint` in the keyring of `home`."""

    home: Path
    user: str
    fingerprint: str

    def gpg(self, *words: str, data: bytes = b"") -> bytes:
        """Run gpg with this person's keyring."""
        options = ("--batch", "--quiet", "--no-tty", "--passphrase=", "--pinentry-mode=loopback", "--no-options")
        command = ["gpg", f"--homedir={self.home}", *options, *words]
        return SystemRunner().run(command, input=data, timeout=60).raw

    def public(self) -> bytes:
        """Return the public key, armored."""
        return self.gpg("--armor", "--export", self.fingerprint)

    def private(self) -> bytes:
        """Return the private key, armored."""
        return self.gpg("--armor", "--export-secret-keys", self.fingerprint)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt what was encrypted to this person."""
        return self.gpg("--decrypt", data=sealed)

    def revoke(self) -> None:
        """Revoke the key with the certificate that gpg created along with it."""
        certificate = (self.home / f"openpgp-revocs.d/{self.fingerprint}.rev").read_text()
        self.gpg("--import", data=certificate.replace(":-----BEGIN", "-----BEGIN").encode())

    def leave(self) -> None:
        """Stop the agent of this person's keyring."""
        SystemRunner().run(["gpgconf", "--homedir", self.home, "--kill", "all"], timeout=30)


def person(folder: Path, name: str, *keys: tuple[str, str], expires: str = "never", at: str = "") -> Person:
    """Create the person `name` below `folder` with a primary key and subkeys, given as (algorithm, usage).

    The last of `keys` expires after `expires`; they are created `at` a time such as 20200101T000000.
    """
    home = folder / name
    home.mkdir(mode=0o700)
    clock = (f"--faked-system-time={at}!",) if at else ()
    made = Person(home, f"{name} <{name.lower()}@ecs.example.org>", "")
    first, *others = keys
    made.gpg(*clock, "--quick-generate-key", made.user, *first, "never" if others else expires)
    listing = made.gpg("--with-colons", "--list-keys").decode()
    fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
    for key in others:
        made.gpg(*clock, "--quick-add-key", fingerprint, *key, expires if key == keys[-1] else "never")
    return Person(home, made.user, fingerprint)
