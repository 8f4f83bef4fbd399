"""Which public keys may sign code."""

import pytest

from ecs_appliance.env.signer_keys import signer

SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJn7zBY/B+ao7DLRkVKdNSiNT8uTDXFSw45R4Cf8EIa0 release"


def test_a_public_key_of_openssh_is_one() -> None:
    assert signer(f" {SSH}\n") == SSH


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "OpenSSH public key"),
        (f"{SSH}\n{SSH}", "one key on one line"),
        (f"cert-authority {SSH}", "the key alone"),
        (f"*@example.org {SSH}", "the key alone"),
        (f'valid-before="20300101" {SSH}', "the key alone"),
        (SSH.replace("AAAAC3", "AAAA"), "incomplete or damaged"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----", "public key block"),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnothing\n-----END PGP PUBLIC KEY BLOCK-----", "damaged"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", "private key"),
    ],
)
def test_anything_else_is_none(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        signer(text)
