"""systemctl reload appliance: apply what the environment changes without restarting the containers."""

from ecs_appliance.core.locks import locked
from ecs_appliance.lifecycle.certificate import start_in_background
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.converging import converge_machine
from ecs_appliance.lifecycle.machine_report import report_machine
from ecs_appliance.lifecycle.prepare_env import find_env


def reload_appliance(context: Context) -> None:
    """Read the environment again and converge: certificates, names, files, packages, timers, database settings."""
    with locked(context.paths.lock, "reload", wait=60):
        converge_machine(context, find_env(context))
    report_machine(context)
    start_in_background(context)
