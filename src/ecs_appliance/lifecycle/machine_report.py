"""Report on the machine itself: logins by password, and a keyring that was tampered with."""

import logging

from ecs_appliance.app.vaultkeys import find_suspects
from ecs_appliance.converge.ssh import who_gets_in_by_password
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.alerts import Finding

log = logging.getLogger(__name__)

SSH = "ssh-passwords"
KEYRING = "vault-keyring"
SECONDS = 20
AGAIN = "; then: systemctl start appliance-certificate"


def report_machine(context: Context) -> None:
    """Raise and clear the alerts about ssh passwords and the vault's keyring."""
    context.alerts.tell((SSH, KEYRING), [*_passwords(context), *_keyring(context)])


def _passwords(context: Context) -> list[Finding]:
    try:
        effective = context.runner.run(["/usr/sbin/sshd", "-T"], timeout=SECONDS).stdout
    except ApplianceError as error:
        return [Finding(SSH, "warning", f"the effective ssh settings cannot be read: {error.message}", "sshd -t")]
    names = who_gets_in_by_password(context.paths, effective)
    if not names:
        return []
    message = f"ssh accepts passwords from everywhere for {', '.join(names)}"
    hint = "add a key to ssh_authorized_keys in env.yml, then: systemctl reload appliance"
    return [Finding(SSH, "critical", message, hint)]


def _keyring(context: Context) -> list[Finding]:
    suspects = find_suspects(context.paths)
    if not suspects:
        return []
    folder, why = next(iter(suspects.items()))
    message = f"the vault's keyring had been tampered with ({why}); the keys from env.yml are active again"
    hint = (
        "documents written before may be encrypted for other keys too, or for other keys only; the old keyring is "
        f"in {folder}; after investigating, remove it{AGAIN}"
    )
    return [Finding(KEYRING, "critical", message, hint)]
