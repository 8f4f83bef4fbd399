"""Choose the version of the application that a start takes, and roll back one that does not come up.

A new version comes by an update, a pin in env.yml, or a flag; any other start takes what ran last. A new version that
does not come up is rolled back if the database is still as the previous version left it.
"""

import logging
from dataclasses import dataclass

from ecs_appliance.app.images import OWN, Images, app_tag
from ecs_appliance.app.migration import APPLIED, list_dumps
from ecs_appliance.core.errors import ApplianceError, DeadlineError, LatchedError
from ecs_appliance.env.model import Env
from ecs_appliance.host import docker, dumps
from ecs_appliance.host.postgres import Server
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.topics import VERSION

log = logging.getLogger(__name__)

# The flag that makes the next start take a new version: its commit or, if empty, what env.yml asks for.
NEXT = "update.ecs"
REBUILD = "force.update.ecs"
# The tag with the commit that was rolled back; it is not tried again.
BAD = "bad_ecs"
# The tag with the commit that env.yml pinned when a version was last built.
PIN = "last_build_ecs_pin"
# The tag with the state of the database when a version last came up, as a digest.
DATABASE = "last_running_database"
# A new version may take three times as long as usual to come up, within these bounds in seconds.
USUAL_TIMES, SHORTEST, LONGEST = 3, 60.0, 180.0
TRY_AGAIN = (
    f"a newer version is tried automatically; to try this one again: rm /app/etc/tags/{BAD}; systemctl start "
    "appliance-update"
)


@dataclass(frozen=True)
class Version:
    """A version of the application that can be started: its commit and its images."""

    commit: str
    images: Images


class BadVersionError(ApplianceError):
    """The version was rolled back before; an alert about it exists."""

    alerted = True


def built_version(context: Context, commit: str | None) -> Version | None:
    """Return the version `commit`, None if it has no image."""
    if not commit or not docker.image_exists(context.runner, app_tag(commit)):
        return None
    return Version(commit, Images(app_tag(commit), {name: f"ecs/{name}:latest" for name in OWN}))


def last_version(context: Context) -> Version | None:
    """Return the version that ran last, None if its image is gone."""
    return built_version(context, context.tags.get("last_running_ecs"))


def planned_version(context: Context, env: Env) -> Version | None:
    """Return the version that this start takes without building: the one that an update built, else what ran last.

    None if one must be built: none is there, env.yml pins another one, or a flag requests it.
    """
    asked = context.flags.get(NEXT)
    pin = env.ecs.git.commitid
    if asked == "" or context.flags.get(REBUILD) is not None or (pin and pin != context.tags.get(PIN)):
        return None
    return built_version(context, asked) or last_version(context)


def refuse_bad(context: Context, commit: str) -> None:
    """Raise BadVersionError if `commit` was rolled back before, unless a flag requests a rebuild."""
    if commit == context.tags.get(BAD) and context.flags.get(REBUILD) is None:
        raise BadVersionError(f"version {commit[:12]} did not come up before and is not tried again", TRY_AGAIN)


def note_running(context: Context, env: Env, commit: str) -> None:
    """Record that `commit` came up, and the present state of the database."""
    if commit != context.tags.get("last_running_ecs"):
        clear_bad(context)
    context.flags.clear(NEXT)
    state = _database_state(context, env)
    # In this order, so that a kill in between does not associate the former version with this state of the database.
    context.tags.clear(DATABASE)
    context.tags.set("last_running_ecs", commit)
    if state is not None:
        context.tags.set(DATABASE, state)


def trial_seconds(context: Context) -> float:
    """Return how many seconds a new version may take to come up."""
    usual = context.page.usual_seconds("containers")
    return LONGEST if usual is None else min(max(USUAL_TIMES * usual, SHORTEST), LONGEST)


def version_before(context: Context, env: Env, commit: str) -> Version | None:
    """Return the version that `commit`, which is to be started, can be rolled back to; None if there is none.

    That is the one that ran last, if it is another and the database still has the schema and migrations it had then.
    """
    last = last_version(context)
    if last is None or last.commit == commit:
        return None
    known = context.tags.get(DATABASE)
    return last if known and _database_state(context, env) == known else None


def roll_back(context: Context, commit: str, last: Version, failure: ApplianceError) -> None:
    """Record and report that `commit` did not come up because of `failure`, and that `last` runs instead."""
    log.error("version %s is replaced by %s: %s", commit, last.commit, failure.message)
    context.flags.clear(NEXT)
    context.tags.set(BAD, commit)
    said = f"version {commit[:12]} did not come up, {last.commit[:12]} is running again: {failure.summary}"
    context.alerts.put(VERSION, "warning", said, TRY_AGAIN)


def clear_bad(context: Context) -> None:
    """Forget the version that was rolled back: it may be tried again."""
    context.tags.clear(BAD)
    context.alerts.clear(VERSION)


def way_back(context: Context, env: Env) -> str:
    """Return instructions for going back to the version that ran last, with its database."""
    dumped = list_dumps(context.paths.pgdump, env.ecs.database)
    commit = context.tags.get("last_running_ecs") or ""
    dump = f" with {dumped[-1]}" if dumped else ""
    return f"go back to version {commit[:12]}{dump}: see the manual, Go back before a migration"


def stuck(context: Context, env: Env, commit: str, failure: ApplianceError) -> ApplianceError:
    """Return the error that ends the start of `commit`, which cannot be rolled back.

    That is `failure` or, after a timeout with a changed database, an error that latches, since no retry can fix that.
    """
    if not isinstance(failure, DeadlineError):
        return failure
    known, last = context.tags.get(DATABASE), context.tags.get("last_running_ecs")
    if not known or not last or last == commit or _database_state(context, env) in (None, known):
        return failure
    return LatchedError(
        f"version {commit[:12]} has changed the database but does not come up: {failure.message}",
        way_back(context, env),
    )


def _database_state(context: Context, env: Env) -> str | None:
    """Return a digest of schema and migrations; log an error and return None if it cannot be determined."""
    try:
        return dumps.describe(context.runner, Server(), env.ecs.database, APPLIED)
    except ApplianceError as error:
        log.error("it is unknown whether the database has changed: %s", error.message)
        return None
