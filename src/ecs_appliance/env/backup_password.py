"""The password of the backups: the one given, or for files older than that key one that anybody can derive."""

import hashlib

from ecs_appliance.env.model import Backup
from ecs_appliance.env.packets import dearmor


def backup_password(backup: Backup) -> str:
    """`password`, or without it the SHA-256 in hex of what the armor of `encrypt` holds; empty without both.

    By hand: gpg --dearmor <BLOCK | sha256sum
    """
    given = backup.password.get_secret_value()
    block = backup.encrypt.get_secret_value()
    if given or not block.strip():
        return given
    return hashlib.sha256(dearmor(block)).hexdigest()
