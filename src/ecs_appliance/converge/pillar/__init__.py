"""The pillar: below `machine` only what the states need of an environment; one module per component."""

from typing import TYPE_CHECKING, Any

from ecs_appliance.converge import package_lists
from ecs_appliance.converge.installed import commands_of
from ecs_appliance.converge.pillar import frontend, network, site
from ecs_appliance.converge.ssh import Ssh, plan_ssh
from ecs_appliance.core.facts import Facts, read_facts
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.activation import load_active
from ecs_appliance.env.dump import dump_public
from ecs_appliance.host import networks

if TYPE_CHECKING:
    from ecs_appliance.env.model import Env

TIMEZONE = "Europe/Vienna"
# For the database (docs/manual.md: createdb), and for logs.
LOCALES = ("de_DE.UTF-8", "en_US.UTF-8")


def current_pillar(paths: Paths | None = None) -> dict[str, Any]:
    """Return this machine's current pillar, for `salt-call` by hand.

    Raises InvalidEnvError if the active environment is invalid.
    """
    paths = paths or Paths()
    return machine_pillar(paths, load_active(paths) if paths.active_env.exists() else None)


def machine_pillar(paths: Paths, env: "Env | None") -> dict[str, Any]:
    """Return the pillar of this machine for `env` (None: not configured yet)."""
    return build_pillar(env, read_facts(paths), paths, commands=commands_of(paths.appliance), ssh=plan_ssh(paths, env))


def build_pillar(
    env: "Env | None",
    facts: Facts,
    paths: Paths | None = None,
    *,
    commands: tuple[str, ...] = (),
    ssh: Ssh | None = None,
) -> dict[str, Any]:
    """Return the pillar for `env` (None: not configured yet) on a machine with `facts`."""
    ssh, paths = ssh or Ssh(), paths or Paths()
    proxy_cache = bool(env and env.appliance.storage.proxy_cache)
    return {
        # The operator's own states may use any of it.
        **(dump_public(env) if env and env.appliance.extra.states.get_secret_value() else {}),
        "machine": {
            "configured": env is not None,
            "hostname": env.appliance.domain if env and env.appliance.domain != "localhost" else "",
            "timezone": TIMEZONE,
            "locales": list(LOCALES),
            "packages": list(package_lists.COMMON),
            "commands": list(commands),
            "ssh": _ssh(env, ssh),
            "firewall": network.firewall(env, ssh),
            "apparmor": site.APPARMOR_PROFILE if facts.apparmor else "",
            "docker": {"packages": list(package_lists.DOCKER), "bridge": networks.BRIDGE, "bip": networks.BIP},
            "proxy_cache": proxy_cache,
            "postgresql": site.postgresql(env, facts),
            "nginx": frontend.nginx(env, paths),
            "certificates": frontend.certificates(env),
            "acme": frontend.acme(env) if env else {},
            "compose": site.compose(env, facts),
            "update": site.updates(env),
            "backup": site.backups(env),
            "extra": site.additions(env),
        },
    }


def _ssh(env: "Env | None", ssh: Ssh) -> dict[str, Any]:
    return {
        "keys_only": ssh.keys_only,
        "by_group": ssh.by_group,
        "people": list(ssh.people),
        "authorized_keys": list(env.ssh_authorized_keys) if env else [],
        "deprecated_keys": list(env.ssh_deprecated_keys) if env else [],
    }
