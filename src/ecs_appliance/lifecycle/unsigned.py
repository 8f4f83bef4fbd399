"""Code that runs here whoever wrote it: said each day, until the environment names who signs it."""

from ecs_appliance.env.model import Env
from ecs_appliance.reporting.alerts import Alerts, Finding

TOPIC = "signers"


def find_unsigned(env: Env) -> list[Finding]:
    """The warning that `env` deserves, if any: whoever may write a repository runs code here."""
    sections = {"appliance.git": env.appliance.git, "ecs.git": env.ecs.git}
    open_ones = [f"{name}.signers" for name, target in sections.items() if not target.signers]
    if not open_ones:
        return []
    message = f"{' and '.join(open_ones)} not set: what is fetched from there runs here, whoever signed it or nobody"
    return [Finding(TOPIC, "warning", message, "name their public keys in env.yml: see the manual, The code is signed")]


def tell_unsigned(alerts: Alerts, env: Env) -> None:
    """Tell what `find_unsigned` finds, or that it is well."""
    alerts.tell([TOPIC], find_unsigned(env))
