"""prepare-appliance: prepare storage, converge the machine, prepare the database, import the vault keys."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ecs_appliance.app.settings import ensure_database_url, read_password
from ecs_appliance.app.vaultkeys import VaultKeys, ensure_vault_keys
from ecs_appliance.backup.progress import is_unfinished
from ecs_appliance.backup.rehearsal import clear_stages
from ecs_appliance.backup.rewind import clear_preview
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.locks import locked
from ecs_appliance.env.model import Env
from ecs_appliance.host import ownership, postgres, roles
from ecs_appliance.host.cluster import ROLE
from ecs_appliance.host.postgres import Server
from ecs_appliance.host.roles import PasswordMethod
from ecs_appliance.lifecycle.certificate import start_in_background
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.converging import converge_machine
from ecs_appliance.lifecycle.hooks import run_hooks
from ecs_appliance.lifecycle.machine_report import report_machine
from ecs_appliance.lifecycle.prepare_env import active_env, env_digest
from ecs_appliance.lifecycle.standby import stand_by
from ecs_appliance.lifecycle.storage import prepare_storage

log = logging.getLogger(__name__)

STAGE = "prepare-appliance"
LOCK_WAIT = 900
DATABASE_DEADLINE = 60
EXTENSION = "pg_stat_statements"
POWERS = "database-role"


def prepare_appliance(context: Context) -> None:
    """Prepare the machine so that the application can be built and its database migrated."""
    paths, runner, steps = context.paths, context.runner, context.steps()
    with locked(paths.lock, STAGE, wait=LOCK_WAIT):
        # Only now: the previous holder of the lock may have activated another one.
        env = active_env(context)
        if is_unfinished(paths):
            command = "recover" if paths.recovery.exists() else "rewind"
            stand_by(context, "recovering", next_step=f"to resume it: appliance {command} --yes")
            return
        digest = env_digest(paths)
        run_hooks(paths, runner, STAGE, "early")
        with steps.step("storage", "preparing storage"):
            prepare_storage(paths, runner, env)
            clear_stages(paths, runner)
            clear_preview(paths, runner)
        with steps.step("converge", "configuring the machine"):
            converge_machine(context, env)
        context.tags.set("selected_env", digest)
        start_in_background(context)
        with steps.step("database", "preparing the database"):
            ready = prepare_database(context, env)
        if not ready:
            stand_by(context, "no-database", next_step=create_hint(env.ecs.database))
            return
        with steps.step("vault-keys", "importing the vault keys"):
            ensure_vault_keys(runner, paths, vault_keys(env))
        report_machine(context)
        run_hooks(paths, runner, STAGE, "late")


def prepare_database(context: Context, env: Env) -> bool:
    """Ensure the database's role, owner, extension and connection file; return False if there is no database.

    A database is never created here: an empty one in place of a lost one would look like a success.
    """
    server, name, folder = Server(), env.ecs.database, context.paths.compose
    postgres.wait_ready(server, deadline=DATABASE_DEADLINE)
    if not postgres.database_exists(server, name):
        return False
    ensure_database_url(folder, name)
    set_password(context, roles.stored_method(server, ROLE) or "scram-sha-256")
    _restrict(context)
    roles.ensure_open(server, name, ROLE)
    with failure_as_alert(context, "database-owner"):
        ownership.ensure_owner(server, name, ROLE)
        ownership.ensure_extension(server, name, EXTENSION)
    with failure_as_alert(context, "database-collation"):
        postgres.refresh_collation(server, name)
    return True


@contextmanager
def failure_as_alert(context: Context, topic: str) -> Iterator[None]:
    """Turn a failure into an alert: it may be the doing of the application's role, and must not keep the site down."""
    try:
        yield
    except ApplianceError as error:
        log.error("%s", error.message)
        context.alerts.put_failure(topic, "critical", "", error)
        return
    context.alerts.clear(topic)


def set_password(context: Context, method: PasswordMethod) -> None:
    """Give the application's role the password in database_url.env, stored as `method`."""
    password = read_password(context.paths.compose / "database_url.env")
    if password is None:
        raise ApplianceError("there is no database_url.env", "systemctl restart appliance")
    roles.ensure_role(Server(), ROLE, password, method)


def _restrict(context: Context) -> None:
    """Restrict the role to its own database, since anyone with its password has all its privileges."""
    taken = roles.restrict_role(Server(), ROLE)
    if not taken:
        context.alerts.clear(POWERS)
        return
    said = f"the database role {ROLE} had too many privileges ({', '.join(taken)}); they were revoked"
    log.error("%s", said)
    context.alerts.put(POWERS, "critical", said, "find out who granted them, and what the role did with them")


def vault_keys(env: Env) -> VaultKeys:
    """Return the vault's keys in `env`."""
    return VaultKeys(env.ecs.vault_encrypt.get_secret_value(), env.ecs.vault_sign.get_secret_value())


def create_hint(database: str) -> str:
    """Return what the operator should do if there is no database."""
    return (
        f"new site: sudo -u postgres createdb {database} -T template0 -l de_DE.utf8; systemctl restart appliance"
        " — lost site: recover-from-backup.sh --yes"
    )
