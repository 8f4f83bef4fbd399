"""Pillar of the site: containers, database, backups, updates, and the operator's additions."""

from typing import TYPE_CHECKING, Any

from ecs_appliance.converge import package_lists
from ecs_appliance.converge.pillar.network import site_subnets
from ecs_appliance.converge.tuning import limit_containers, tune_postgresql
from ecs_appliance.core.facts import Facts
from ecs_appliance.env.dump import dump_revealed
from ecs_appliance.host import cluster, networks

if TYPE_CHECKING:
    from ecs_appliance.env.model import Env

APPARMOR_PROFILE = "ecs-application"


def compose(env: "Env | None", facts: Facts) -> dict[str, Any]:
    """Return values of the compose file; `$` is escaped, or compose would expand variables."""
    if env is None:
        return {}
    return {
        "subnets": site_subnets(),
        "memory": limit_containers(facts),
        "apparmor": APPARMOR_PROFILE if facts.apparmor else "",
        "domain": env.appliance.domain,
        "userswitcher_enabled": env.ecs.userswitcher.enabled,
        "userswitcher_parameter": env.ecs.userswitcher.parameter.replace("$", "$$"),
        "ecs_settings": env.ecs.settings.get_secret_value().replace("$", "$$"),
    }


def postgresql(env: "Env | None", facts: Facts) -> dict[str, Any]:
    """Return packages and settings of the database server, and the networks that may connect to it."""
    return {
        "packages": list(package_lists.POSTGRESQL),
        "version": cluster.VERSION,
        "cluster": cluster.NAME,
        "unit": cluster.UNIT,
        "settings": tune_postgresql(facts),
        "database": env.ecs.database if env else "ecs",
        "subnets": list(networks.APPLICATION_SUBNETS),
        "bridge": networks.BRIDGE,
    }


def updates(env: "Env | None") -> dict[str, Any]:
    """Return when updates run."""
    return {
        "automatic": bool(env and env.appliance.update.automatic),
        "oncalendar": env.appliance.update.oncalendar if env else "*-*-* 06:30:00",
    }


def backups(env: "Env | None") -> dict[str, Any]:
    """Return when backups and rehearsals run, and the packages they need."""
    by_rclone = bool(env and env.appliance.backup.by_rclone)
    return {
        "packages": [*package_lists.BACKUP, *(package_lists.RCLONE if by_rclone else ())],
        "interval": env.appliance.backup.interval if env else "15min",
        "oncalendar": env.appliance.backup.oncalendar if env else "*-*-* 22:30:00",
        "rehearsal": env.appliance.backup.rehearsal if env else "Sat *-*-* 10:00:00",
    }


def additions(env: "Env | None") -> dict[str, Any]:
    """Return the operator's packages, files and states."""
    if env is None:
        return {"packages": [], "files": [], "states": ""}
    added = env.appliance.extra
    files = []
    for file in added.files:
        user, _, group = file.owner.partition(":")
        files.append(
            {
                "path": file.path,
                "contents": dump_revealed(file.contents),
                "user": user,
                "group": group or user,
                "permissions": file.permissions,
            }
        )
    return {"packages": list(added.packages), "files": files, "states": dump_revealed(added.states)}
