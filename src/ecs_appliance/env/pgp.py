"""Armored OpenPGP private keys (RFC 4880), read far enough to know that a machine can use them unattended."""

from dataclasses import dataclass

from ecs_appliance.env.packets import (
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

# The user ids that new keys get. By the last two the application asks for its own.
USERS = {
    "appliance.backup.encrypt": "ecs_backup",
    "ecs.vault_encrypt": "ecs_mediaserver",
    "ecs.vault_sign": "ecs_authority",
}
GNU_DUMMY = 101
EXPECTED = "expected a PGP private key block: -----BEGIN PGP PRIVATE KEY BLOCK-----"


@dataclass(frozen=True)
class PrivateKey:
    """`algorithm` is its number in RFC 4880, `users` are its user ids."""

    algorithm: int
    users: tuple[str, ...]

    @property
    def is_classic(self) -> bool:
        """Whether gpg 1.4, which the application has, can use it."""
        return self.algorithm in PUBLIC_INTEGERS


def private_key(text: str) -> str:
    """One unprotected armored private key, or nothing. Raises ValueError; its message shows nothing of the key."""
    if text.strip():
        read_private_key(text)
    return text


def read_private_key(text: str) -> PrivateKey:
    """What is known of the key in `text`. Raises ValueError that says why it cannot be used."""
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
        raise ValueError("this is the public key, its secret part is missing: gpg --export-secret-keys --armor")
    if begun[1] != "PRIVATE KEY":
        raise ValueError(EXPECTED)
    if len(BEGIN.findall(text)) > 1:
        raise ValueError("expected one PGP private key block, found several")
    return dearmor(text)


def _check_secret(body: bytes) -> None:
    """The secret part of a version 4 key packet is there and not protected."""
    if len(body) < 8 or body[0] != 4:  # noqa: PLR2004 # version, time, algorithm, one length
        raise ValueError("expected a version 4 OpenPGP key")
    rest = body[end_of_public(body) :]
    if len(rest) < 3:  # noqa: PLR2004
        raise ValueError(DAMAGED)
    if rest[0] in (254, 255) and rest[2] == GNU_DUMMY:
        raise ValueError("the secret part of this PGP key is missing (it is kept elsewhere)")
    if rest[0] != 0:
        raise ValueError("this PGP key has a passphrase, and nobody is there to type it: export it without")
