"""appliance-cleanup: remove what the running version no longer needs."""

import logging

from ecs_appliance.app.images import app_tag, prune_images
from ecs_appliance.core.errors import BusyError
from ecs_appliance.core.locks import locked
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.release import prune_releases

log = logging.getLogger(__name__)


def clean_up(context: Context) -> None:
    """Remove images and releases that neither run nor are kept for a rollback; do nothing while the lock is held."""
    kept = [commit for name in ("last_running_ecs", "last_build_ecs") if (commit := context.tags.get(name))]
    running = context.tags.get("last_running_appliance") or ""
    try:
        with locked(context.paths.lock, "clean up"):
            images = prune_images(context.runner, [app_tag(commit) for commit in kept])
            releases = prune_releases(context.paths, keep=(running, context.paths.appliance.resolve().name))
    except BusyError as error:
        log.info("nothing removed now: %s", error.message)
        return
    log.info("removed %d images, %d releases", len(images), len(releases))
