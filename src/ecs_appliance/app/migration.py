"""Migrate the database to the application's version before a start, after a dump for going back."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ecs_appliance.app.settings import AppSettings, once_environment
from ecs_appliance.app.vaultkeys import SCRATCH, keyring_mounts
from ecs_appliance.core.errors import ApplianceError, LatchedError, as_failure
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import CommandError, ProcessError, Runner
from ecs_appliance.core.transcript import transcript
from ecs_appliance.host import dumps, networks, postgres
from ecs_appliance.host.docker import ContainerMount, Task, run_once

log = logging.getLogger(__name__)

# `held`: migrations are due, but the environment does not allow automatic ones.
Decision = Literal["migrate", "bootstrap", "held"]

# What the entry point needs, as in containers/compose.yml; docker's init runs as root and forwards signals to app.
CAPABILITIES = ("CHOWN", "FOWNER", "SETUID", "SETGID", "KILL")
MIGRATE_SECONDS = 4 * 3600
BOOTSTRAP_SECONDS = 900
KEPT_DUMPS = 3
# Django's table of applied migrations.
APPLIED = "public.django_migrations"
# Exit codes of `docker run`, and the prefix of its message, if the container's command did not start.
NOT_BEGUN, DOCKER_SAYS = (125, 126, 127), "docker: "
COMMANDS: dict[Decision, tuple[str, ...]] = {
    "migrate": ("migrate",),
    "bootstrap": ("run", "./manage.py", "bootstrap"),
}


class MigrationError(LatchedError):
    """A migration failed; the database may be in a state between two versions."""


class BootstrapError(ApplianceError):
    """The application's bootstrap failed, after all migrations were applied."""


@dataclass(frozen=True)
class Database:
    """The database `name` of `server`; `owner` is the (uid, gid) of its dumps."""

    server: postgres.Server
    name: str
    owner: tuple[int, int] | None = None


def plan_migration(last: str | None, target: str, added: Sequence[str] | None, *, auto: bool) -> Decision:
    """Decide what to do before `target` starts, if `last` was migrated last (None: never).

    `added` are the migrations added in between; None means unknown, so some are assumed. A database that was never
    migrated is migrated even without `auto`, since no version can run on it otherwise.
    """
    if last is None:
        return "migrate"
    if last == target or added == []:
        return "bootstrap"
    return "migrate" if auto else "held"


def app_mounts(paths: Paths) -> tuple[ContainerMount, ...]:
    """Return the volumes of web and worker."""
    durable = [ContainerMount(paths.data / name, f"/app/{name}") for name in ("ecs-storage-vault", "ecs-ca")]
    return (*durable, *keyring_mounts(paths), ContainerMount(paths.volatile / "ecs-cache", "/app/ecs-cache"))


def app_task(name: str, image: str, paths: Paths, site: AppSettings, argv: tuple[str, ...]) -> Task:
    """Return the one-off container `name` that runs the application's `argv`, with its volumes, without redis."""
    mounts, env = app_mounts(paths), once_environment(site)
    return Task(
        name, image, argv, mounts=mounts, tmpfs=(SCRATCH,), env=env, network=networks.TASKS, capabilities=CAPABILITIES
    )


def run_migration(
    runner: Runner,
    paths: Paths,
    decision: Decision,
    *,
    image: str,
    target: str,
    site: AppSettings,
    database: Database,
    on_line: Callable[[str], None] = log.info,
) -> Path | None:
    """Carry out `decision` with `image`, of commit `target`; return the dump made before a migration, else None.

    Raise MigrationError (latches) if a migration fails or takes over four hours, BootstrapError, and ApplianceError if
    the dump fails or for `held`.
    """
    if decision == "held":
        raise ApplianceError(
            "the new version needs migrations, and ecs.migrate.auto is off",
            "set ecs.migrate.auto: true to run them",
        )
    task = app_task("appliance-migration", image, paths, site, COMMANDS[decision])
    if decision == "bootstrap":
        _bootstrap(runner, task, on_line)
        return None
    dump = _dump_before(runner, paths.pgdump, target, database)
    with transcript(paths.logs / "migration.log", on_line) as keep:
        _migrate(runner, task, dump, keep)
    # Never remove the one just made, even if a clock that was set back sorts it among the oldest.
    _remove([other for other in outdated(list_dumps(paths.pgdump, database.name)) if other != dump])
    return dump


def list_dumps(folder: Path, database: str) -> list[Path]:
    """Return the dumps of `database` made before migrations, oldest first."""
    return sorted(folder.glob(f"{database}-before-migration.*.pgdump"))


def outdated(dumps: Sequence[Path], target: str | None = None) -> list[Path]:
    """Return which of `dumps`, oldest first, to remove: all but the newest three.

    While the migration to `target` has not succeeded, keep its first dump too: later ones may contain a partially
    migrated database.
    """
    first = next((dump for dump in dumps if target and f".{target[:12]}." in dump.name), None)
    return [dump for dump in dumps[:-KEPT_DUMPS] if dump != first]


def _dump_before(runner: Runner, folder: Path, target: str, database: Database) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    dump = folder / f"{database.name}-before-migration.{stamp}.{target[:12]}.pgdump"
    log.info("dumping database %s to %s", database.name, dump)
    dumps.dump(runner, database.server, database.name, dump, owner=database.owner)
    _remove(outdated(list_dumps(folder, database.name), target))
    return dump


def _migrate(runner: Runner, task: Task, dump: Path, on_line: Callable[[str], None]) -> None:
    """Run the migration; any failure after it has started latches, so that it is not retried."""
    try:
        run_once(runner, task, timeout=MIGRATE_SECONDS, on_line=on_line)
    except Exception as error:
        if isinstance(error, CommandError) and error.returncode in NOT_BEGUN and DOCKER_SAYS in error.output:
            raise
        reason = as_failure(error).message
        raise MigrationError(
            f"the migration of the database failed: {reason}",
            f"the database as it was before is in {dump}; see the manual, Go back before a migration",
        ) from error


def _bootstrap(runner: Runner, task: Task, on_line: Callable[[str], None]) -> None:
    try:
        run_once(runner, task, timeout=BOOTSTRAP_SECONDS, on_line=on_line)
    except ProcessError as error:
        raise BootstrapError(
            f"the application's bootstrap failed: {error.message}",
            "correct ecs.settings, or report this output as a bug",
        ) from None


def _remove(dumps: Sequence[Path]) -> None:
    for dump in dumps:
        log.info("removing %s", dump)
        dump.unlink(missing_ok=True)
