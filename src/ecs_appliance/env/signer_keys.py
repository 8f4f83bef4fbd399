"""Validates public keys of code signers: one-line OpenSSH keys and armored OpenPGP keys."""

from ecs_appliance.env import formats
from ecs_appliance.env.pgp_packets import BEGIN, PUBLIC_KEY, dearmor, packets


def signer(text: str) -> str:
    """Accept a one-line OpenSSH or armored OpenPGP public key and return it stripped. Raise ValueError."""
    text = text.strip()
    begun = BEGIN.search(text)
    if begun is None:
        return _ssh(text)
    if begun[1] != "PUBLIC KEY":
        raise ValueError("expected a PGP public key block: use gpg --export --armor")
    if [tag for tag, _ in packets(dearmor(text))].count(PUBLIC_KEY) != 1:
        raise ValueError("expected exactly one PGP public key in the block")
    return text


def _ssh(text: str) -> str:
    formats.ssh_key(text)
    if formats.ssh_parts(text)[0]:
        raise ValueError("expected the key alone, without options or a name before it: ssh-ed25519 AAAA… name")
    return text
