"""Expectations for the sandboxing of units."""

# They converge, install, build, or run what does: docs/decisions/0027.
ROOT_ALL_OVER = {
    "appliance.service",
    "appliance-update.service",
    "appliance-volumes.service",
    "prepare-appliance.service",
    "prepare-ecs.service",
}
MOST = "40"  # exposure in tenths, as systemd-analyze takes it
