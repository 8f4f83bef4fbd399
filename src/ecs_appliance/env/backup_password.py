"""The backup password: the configured one, or for older files one that is derived from the backup key."""

import hashlib

from ecs_appliance.env.model import Backup
from ecs_appliance.env.pgp_packets import dearmor


def backup_password(backup: Backup) -> str:
    """Return `password` or, if that is empty, the one derived from `encrypt`; empty if both are."""
    return backup.password.get_secret_value() or derived_password(backup.encrypt.get_secret_value())


def derived_password(block: str) -> str:
    """Return the SHA-256 (hex) of the dearmored PGP key `block`; empty if it is missing or damaged.

    By hand: gpg --dearmor <BLOCK | sha256sum
    """
    try:
        return hashlib.sha256(dearmor(block)).hexdigest()
    except ValueError:
        return ""
