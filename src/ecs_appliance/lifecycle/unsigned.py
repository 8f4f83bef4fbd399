"""Warn every day that unsigned code runs here, until the environment names its signers."""

from ecs_appliance.env.model import Env
from ecs_appliance.reporting.alerts import Alerts, Finding

TOPIC = "signers"


def find_unsigned(env: Env) -> list[Finding]:
    """Return a warning if `env` lacks signers: anyone who can write to a repository then runs code here."""
    sections = {"appliance.git": env.appliance.git, "ecs.git": env.ecs.git}
    open_ones = [f"{name}.signers" for name, target in sections.items() if not target.signers]
    if not open_ones:
        return []
    message = f"{' and '.join(open_ones)} not set, so code fetched from there runs here even if it is unsigned"
    return [
        Finding(
            TOPIC, "warning", message, "set the signers' public keys in env.yml: see the manual, The code is signed"
        )
    ]


def tell_unsigned(alerts: Alerts, env: Env) -> None:
    """Raise or clear the alert about what `find_unsigned` finds."""
    alerts.tell([TOPIC], find_unsigned(env))
