"""Checks that armored OpenPGP private keys (RFC 4880) can be used unattended."""

from dataclasses import dataclass

from ecs_appliance.env.pgp_packets import (
    BEGIN,
    DAMAGED,
    PUBLIC_INTEGERS,
    SECRET_KEY,
    SECRET_SUBKEY,
    USER_ID,
    dearmor,
    end_of_public,
    packets,
)

# User IDs of new keys. The application looks up its keys by the last two.
USERS = {
    "appliance.backup.encrypt": "ecs_backup",
    "ecs.vault_encrypt": "ecs_mediaserver",
    "ecs.vault_sign": "ecs_authority",
}
GNU_DUMMY = 101
EXPECTED = "expected a PGP private key block: -----BEGIN PGP PRIVATE KEY BLOCK-----"


@dataclass(frozen=True)
class PrivateKey:
    """`algorithm` is the number in RFC 4880, `users` are the user IDs."""

    algorithm: int
    users: tuple[str, ...]

    @property
    def is_classic(self) -> bool:
        """Whether gpg 1.4, which the application uses, supports it."""
        return self.algorithm in PUBLIC_INTEGERS


def private_key(text: str) -> str:
    """Accept one armored private key without passphrase, or nothing. Raise ValueError that shows nothing of it."""
    if text.strip():
        read_private_key(text)
    return text


def read_private_key(text: str) -> PrivateKey:
    """Return algorithm and user IDs of the key in `text`. Raise ValueError that says why it cannot be used."""
    found = list(packets(_dearmor(text)))
    if not found or found[0][0] != SECRET_KEY:
        raise ValueError(EXPECTED)
    for tag, body in found:
        if tag in (SECRET_KEY, SECRET_SUBKEY):
            _check_secret(body)
    users = tuple(body.decode(errors="replace") for tag, body in found if tag == USER_ID)
    if not users:
        raise ValueError(DAMAGED)
    return PrivateKey(found[0][1][5], users)


def _dearmor(text: str) -> bytes:
    begun = BEGIN.search(text)
    if not begun:
        raise ValueError(EXPECTED)
    if begun[1] == "PUBLIC KEY":
        raise ValueError("this is the public key, without the secret part: use gpg --export-secret-keys --armor")
    if begun[1] != "PRIVATE KEY":
        raise ValueError(EXPECTED)
    if len(BEGIN.findall(text)) > 1:
        raise ValueError("expected one PGP private key block, found several")
    return dearmor(text)


def _check_secret(body: bytes) -> None:
    """Raise ValueError unless `body` is a version 4 key packet with an unprotected secret part."""
    if len(body) < 8 or body[0] != 4:  # noqa: PLR2004 # version, time, algorithm, one length
        raise ValueError("expected a version 4 OpenPGP key")
    rest = body[end_of_public(body) :]
    if len(rest) < 3:  # noqa: PLR2004
        raise ValueError(DAMAGED)
    if rest[0] in (254, 255) and rest[2] == GNU_DUMMY:
        raise ValueError("the secret part of this PGP key is missing (it is kept elsewhere)")
    if rest[0] != 0:
        raise ValueError("this PGP key has a passphrase, but must work unattended: export it without one")
