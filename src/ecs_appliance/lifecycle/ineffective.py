"""Keys of env.yml that this version accepts and does not act on yet: said, not passed over in silence."""

from ecs_appliance.env.model import Env


def list_ineffective(env: Env) -> list[str]:
    """What `env` asks for in vain, each a key's path with what happens instead."""
    appliance = env.appliance
    asked = {
        "appliance.storage.setup: volumes are not made, only used where mounted": bool(appliance.storage.setup),
        "appliance.storage.grow_root: the root filesystem keeps its size": appliance.storage.grow_root,
        "appliance.sentry.dsn: errors are told in the journal only": bool(appliance.sentry.dsn.get_secret_value()),
        "appliance.metric: nothing is exported or collected": any(value for _, value in appliance.metric),
        "appliance.dkim.key: there is no mail server yet": bool(appliance.dkim.key.get_secret_value()),
        "appliance.backup.options: they were another program's": bool(appliance.backup.options.get_secret_value()),
    }
    return [what for what, holds in asked.items() if holds]
