"""The password of the backups: the one given, or for files older than that key one that anybody can derive."""

import hashlib

from ecs_appliance.env.model import Backup
from ecs_appliance.env.packets import dearmor


def backup_password(backup: Backup) -> str:
    """`password`, or without it the one derived from `encrypt`; empty without both."""
    return backup.password.get_secret_value() or derived_password(backup.encrypt.get_secret_value())


def derived_password(block: str) -> str:
    """The SHA-256 in hex of what the armor of the PGP key `block` holds; empty where there is no whole one.

    By hand: gpg --dearmor <BLOCK | sha256sum
    """
    try:
        return hashlib.sha256(dearmor(block)).hexdigest()
    except ValueError:
        return ""
