"""prepare-ecs: fetch the application, build its images, migrate its database."""

import logging

from ecs_appliance.app.images import activate_images, ensure_images
from ecs_appliance.app.libpq import password_method
from ecs_appliance.app.migration import (
    BootstrapError,
    Database,
    Decision,
    MigrationError,
    plan_migration,
    run_migration,
)
from ecs_appliance.app.settings import AppSettings, ensure_database_url
from ecs_appliance.app.shell import in_image
from ecs_appliance.app.source import Origin, Sources, checkout_sources, fetch_sources, migrations_added
from ecs_appliance.app.users import disable_test_users
from ecs_appliance.app.vaultkeys import check_in_image
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import write_changed
from ecs_appliance.core.locks import locked
from ecs_appliance.core.steps import Steps
from ecs_appliance.env.model import Env, GitTarget
from ecs_appliance.host import docker, networks, postgres
from ecs_appliance.host.code_signatures import DistrustedError
from ecs_appliance.host.git import is_full_id
from ecs_appliance.host.postgres import Server
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.hooks import run_hooks
from ecs_appliance.lifecycle.prepare_appliance import LOCK_WAIT, set_password
from ecs_appliance.lifecycle.prepare_env import active_env
from ecs_appliance.lifecycle.rollback import (
    NEXT,
    PIN,
    REBUILD,
    Version,
    clear_bad,
    last_version,
    planned_version,
    refuse_bad,
    roll_back,
    version_before,
)
from ecs_appliance.reporting.topics import BUILD

log = logging.getLogger(__name__)

STAGE = "prepare-ecs"
APP_USER = "app"
APP_OWNER = (1000, 1000)
DISTRUSTED = "source:ecs"


def prepare_ecs(context: Context) -> None:
    """Choose the version to start, build it if it is new, and migrate the database; the containers can then start."""
    paths, runner, steps = context.paths, context.runner, context.steps()
    with locked(paths.lock, STAGE, wait=LOCK_WAIT):
        env = active_env(context)
        run_hooks(paths, runner, STAGE, "early")
        version = choose_version(context, env, steps)
        with steps.step("migration", "migrating the database"):
            remove_leftovers(context)
            version = start_database(context, env, version)
        select_images(context, version)
        run_hooks(paths, runner, STAGE, "late")


def remove_leftovers(context: Context) -> None:
    """Remove the containers that a killed run left behind: they must not run during a migration."""
    for container in docker.project_containers(context.runner, docker.PROJECT):
        docker.remove_container(context.runner, container.name)


def choose_version(context: Context, env: Env, steps: Steps) -> Version:
    """Return the version to start, after building it if it is new; if that fails, the one that ran last.

    Raises ApplianceError if the build fails and no earlier version is available.
    """
    planned = planned_version(context, env)
    if planned is not None:
        return planned
    try:
        return build_version(context, env, steps)
    except ApplianceError as error:
        last = last_version(context)
        if last is None:
            raise
        context.flags.clear(NEXT)
        log.error("%s\n%s\nStarting the version that ran last: %s", error.message, error.hint, last.commit)
        return last


def start_database(context: Context, env: Env, version: Version) -> Version:
    """Migrate the database to `version` and return it or, if that fails, the version that it is rolled back to.

    Raises ApplianceError if neither can be started.
    """
    try:
        bring_database(context, env, version)
    except (MigrationError, BootstrapError) as error:
        before = version_before(context, env, version.commit)
        if before is None:
            raise
        roll_back(context, version.commit, before, error)
        start_before(context, env, before)
        return before
    return version


def start_before(context: Context, env: Env, before: Version) -> None:
    """Prepare the database for `before` after a rollback to it. If this fails too, the new version is not to blame."""
    try:
        bring_database(context, env, before)
    except ApplianceError:
        clear_bad(context)
        raise


def bring_database(context: Context, env: Env, version: Version) -> None:
    """Check the vault's keys, set the role's password and migrate the database, so that `version` can start."""
    check_in_image(context.runner, version.images.app, context.paths)
    set_password(context, password_method(context.runner, version.images.app, context.tags))
    migrate(context, env, version)


def build_version(context: Context, env: Env, steps: Steps) -> Version:
    """Fetch and build the version that `env` asks for, without touching the running one. Raises ApplianceError."""
    try:
        version = _build_version(context, env, steps)
    except ApplianceError as error:
        context.tags.set("last_failed_ecs", wanted(env))
        if not error.alerted:
            context.alerts.put_failure(BUILD, "warning", f"{wanted(env)} cannot be started", error)
        raise
    context.tags.clear("last_failed_ecs")
    context.alerts.clear(BUILD)
    return version


def _build_version(context: Context, env: Env, steps: Steps) -> Version:
    paths, runner = context.paths, context.runner
    with steps.step("source", "fetching the application"):
        sources = _trusted(context, env)
        refuse_bad(context, sources.app.id)
        checkout_sources(runner, paths, sources, user=APP_USER)
    with steps.step("images", "building the application"):
        images = ensure_images(
            runner,
            paths,
            sources,
            containers=paths.appliance / "containers",
            user=APP_USER,
            proxy=networks.PROXY if env.appliance.storage.proxy_cache else None,
            force=context.flags.get(REBUILD) is not None,
            on_line=log.debug,
        )
    context.flags.clear(REBUILD)
    if decide_migration(context, env, sources.app.id) == "held":
        raise ApplianceError(
            f"version {sources.app.id[:12]} needs migrations, and ecs.migrate.auto is off",
            "set ecs.migrate.auto: true, or pin the running version in ecs.git.commitid",
        )
    context.tags.set("last_build_ecs", sources.app.id)
    context.tags.set(PIN, env.ecs.git.commitid)
    return Version(sources.app.id, images)


def fetch_application(context: Context, env: Env) -> Sources:
    """Fetch source and manual, and return the commits that `env` asks for; the checkouts stay unchanged.

    Raises DistrustedError if the application is not signed as `env` demands, or does not descend from the version
    that ran or was built last.
    """
    # A pinned commit is wanted whatever it descends from.
    forced = context.flags.get(REBUILD) is not None or is_full_id(env.ecs.git.commitid)
    # What was built last was accepted then, perhaps because of a flag that is gone by now.
    running = () if forced else tuple(context.tags.get(name) or "" for name in ("last_running_ecs", "last_build_ecs"))
    origins = _origin(env.ecs.git, running), _origin(env.ecs.docs.git)
    return fetch_sources(context.runner, context.paths, *origins, user=APP_USER)


def _trusted(context: Context, env: Env) -> Sources:
    """As `fetch_application`; raise an alert if the source cannot be trusted, and clear it once it can."""
    try:
        sources = fetch_application(context, env)
    except DistrustedError as error:
        context.alerts.put_failure(DISTRUSTED, "critical", "", error)
        raise
    context.alerts.clear(DISTRUSTED)
    return sources


def decide_migration(context: Context, env: Env, target: str) -> Decision:
    """Return what the database needs before `target` starts; one without tables counts as never migrated."""
    empty = postgres.is_empty(Server(), env.ecs.database)
    last = None if empty else context.tags.get("last_migration_ecs")
    added = migrations_added(context.runner, context.paths, last, target, user=APP_USER)
    return plan_migration(last, target, added, auto=env.ecs.migrate.auto)


def migrate(context: Context, env: Env, version: Version) -> None:
    """Migrate the database to `version`, after a dump, and record it. Raises as `run_migration` does."""
    decision = decide_migration(context, env, version.commit)
    log.info("database: %s for %s", decision, version.commit)
    run_migration(
        context.runner,
        context.paths,
        decision,
        image=version.images.app,
        target=version.commit,
        site=site(context, env),
        database=Database(Server(), env.ecs.database, APP_OWNER),
    )
    context.tags.set("last_migration_ecs", version.commit)
    if not env.ecs.userswitcher.enabled:
        disable_test_users(in_image(context.runner, context.paths, version.images.app, site(context, env)))


def site(context: Context, env: Env) -> AppSettings:
    """Return the settings in `env` that the application gets."""
    return AppSettings(
        database_url=ensure_database_url(context.paths.compose, env.ecs.database),
        settings=env.ecs.settings.get_secret_value(),
        userswitcher=env.ecs.userswitcher.enabled,
        userswitcher_parameter=env.ecs.userswitcher.parameter,
    )


def select_images(context: Context, version: Version) -> bool:
    """Make `version` the one that docker compose starts; return whether that is a change."""
    images = {"ECS_IMAGE": version.images.app}
    images.update({f"{name.upper()}_IMAGE": tag for name, tag in version.images.own.items()})
    activate_images(context.runner, version.images)
    text = "".join(f"{name}={tag}\n" for name, tag in sorted(images.items()))
    context.tags.set("selected_ecs", version.commit)
    return write_changed(context.paths.compose / ".env", text, mode=0o644)


def wanted(env: Env) -> str:
    """Return the commit or branch that `env` asks for, in words."""
    target = env.ecs.git
    return target.commitid or f"branch {target.branch or 'default'}"


def _origin(target: GitTarget, after: tuple[str, ...] = ()) -> Origin:
    return Origin(target.source, target.branch, target.commitid, target.signers, after)
