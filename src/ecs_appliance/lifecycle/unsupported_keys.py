"""List keys of env.yml that this version accepts but does not act on yet, so that they are not ignored silently."""

from ecs_appliance.env.model import Env


def list_ineffective(env: Env) -> list[str]:
    """Return what has no effect in `env`: the path of each key and what happens instead."""
    appliance = env.appliance
    asked = {
        "appliance.storage.setup: volumes are not created, only used if mounted": bool(appliance.storage.setup),
        "appliance.storage.grow_root: the root filesystem keeps its size": appliance.storage.grow_root,
        "appliance.sentry.dsn: errors are logged in the journal only": bool(appliance.sentry.dsn.get_secret_value()),
        "appliance.metric: nothing is exported or collected": any(value for _, value in appliance.metric),
        "appliance.dkim.key: there is no mail server yet": bool(appliance.dkim.key.get_secret_value()),
        "appliance.backup.options: these were for a different program": bool(
            appliance.backup.options.get_secret_value()
        ),
    }
    return [what for what, holds in asked.items() if holds]
