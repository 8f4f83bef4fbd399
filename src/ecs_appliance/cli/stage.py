"""`appliance stage`: what the units start; not for people."""

import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ecs_appliance.core.errors import ApplianceError
    from ecs_appliance.lifecycle.context import Context

app = typer.Typer(no_args_is_help=True, hidden=True, help="What systemd's units start.")


# How often systemd starts a stage again that failed; crashes of what runs are counted in lifecycle.crashes.
RETRIES = {"prepare-appliance": 2, "prepare-ecs": 2}


def _run(stage: str, work: "Callable[[Context], object]") -> None:
    """Do `work`. A failure that must not be retried blindly leaves the latch behind; one retried enough ends it."""
    from ecs_appliance.core.errors import ExitCode
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.latch import latch

    context = Context()
    try:
        work(context)
    except Exception as error:  # noqa: BLE001 # the top: whatever it was, it is told and counted
        failure = _as_failure(stage, error)
        context.page.fail(failure.message, failure.hint)
        if failure.latches:
            latch(context.paths, failure.message)
        if failure.latches or _retries(context, stage) >= RETRIES.get(stage, sys.maxsize):
            failure.exit_code = ExitCode.GAVE_UP
        raise failure from None


def _as_failure(stage: str, error: Exception) -> "ApplianceError":
    from ecs_appliance.core.errors import ApplianceError

    if isinstance(error, ApplianceError):
        return error
    logging.getLogger("ecs_appliance.cli").exception("unexpected")
    return ApplianceError(f"{type(error).__name__}: {error}", f"journalctl -u {stage} tells more")


def _retries(context: "Context", stage: str) -> int:
    from ecs_appliance.host import systemd

    return int(systemd.unit_properties(context.runner, f"{stage}.service", "NRestarts").get("NRestarts") or 0)


@app.command("prepare-env")
def prepare_env() -> None:
    """Find, check and activate the environment."""
    from ecs_appliance.lifecycle.prepare_env import prepare_env as work

    _run("prepare-env", work)


@app.command("prepare-appliance")
def prepare_appliance() -> None:
    """Prepare storage, machine, database and keys."""
    from ecs_appliance.lifecycle.prepare_appliance import prepare_appliance as work

    _run("prepare-appliance", work)


@app.command("prepare-ecs")
def prepare_ecs() -> None:
    """Prepare the application's source, images and database."""
    from ecs_appliance.lifecycle.prepare_ecs import prepare_ecs as work

    _run("prepare-ecs", work)


@app.command("run")
def run() -> None:
    """Run the containers in the foreground."""
    from ecs_appliance.lifecycle.run import run as work

    _run("appliance", work)


@app.command("reload")
def reload() -> None:
    """Apply what needs no restart of the containers."""
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.reload import reload_appliance

    reload_appliance(Context())


@app.command("stopped")
def stopped() -> None:
    """Show that the containers have ended."""
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.failed import tell_stopped

    tell_stopped(Context(), os.environ.get("SERVICE_RESULT", "success"))


@app.command("cleanup")
def cleanup() -> None:
    """Remove what is no longer needed."""
    from ecs_appliance.lifecycle.cleanup import clean_up
    from ecs_appliance.lifecycle.context import Context

    clean_up(Context())


@app.command("failed")
def failed(unit: str) -> None:
    """Tell that a unit of the appliance failed."""
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.failed import tell_appliance_failed

    tell_appliance_failed(Context(), unit)


@app.command("service-failed")
def service_failed(unit: str) -> None:
    """Record that a unit beside the appliance failed."""
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.failed import tell_service_failed

    tell_service_failed(Context(), unit)


@app.command("update")
def update() -> None:
    """Update everything, restart where due."""
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.update import update as work

    work(Context())


@app.command("client-ca")
def client_ca() -> None:
    """Give nginx the application's client CA and CRL."""
    from ecs_appliance.lifecycle.client_ca import follow_client_ca
    from ecs_appliance.lifecycle.context import Context

    follow_client_ca(Context())


@app.command("certificate")
def certificate() -> None:
    """Get, deploy and look at server certificates; see whether the client CA holds, and the machine's ways in."""
    from ecs_appliance.lifecycle.certificate import keep_certificates
    from ecs_appliance.lifecycle.client_ca import check_client_ca
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.machine_report import report_machine

    context = Context()
    report_machine(context)
    check_client_ca(context)
    keep_certificates(context)


@app.command("firewall")
def firewall() -> None:
    """Load the firewall's rules as their files have them now."""
    from ecs_appliance.converge.firewall import load_firewall
    from ecs_appliance.converge.names import refresh_names
    from ecs_appliance.lifecycle.context import Context

    context = Context()
    load_firewall(context.paths, context.runner)
    refresh_names(context.paths, context.runner)


@app.command("names")
def names() -> None:
    """Look up the names that the firewall lets containers reach."""
    from ecs_appliance.converge.names import refresh_names
    from ecs_appliance.lifecycle.context import Context

    context = Context()
    refresh_names(context.paths, context.runner)


@app.command("volumes")
def volumes() -> None:
    """Have nothing below /data and /volatile give rights."""
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.storage import fence_volumes

    context = Context()
    fence_volumes(context.paths, context.runner)


@app.command("backup")
def backup() -> None:
    """Back up, dump, remove what is old, check."""
    _back_up(nightly=True)


@app.command("backup-frequent")
def backup_frequent() -> None:
    """Back up."""
    _back_up(nightly=False)


@app.command("rehearsal")
def rehearsal() -> None:
    """Rehearse a recovery."""
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.rehearsal import rehearse_by_timer

    rehearse_by_timer(Context())


@app.command("rehearsal-clear")
def rehearsal_clear() -> None:
    """Leave nothing of a rehearsal that was cut off."""
    from ecs_appliance.backup.rehearsal import clear_stages
    from ecs_appliance.lifecycle.context import Context

    context = Context()
    clear_stages(context.paths, context.runner)


def _back_up(*, nightly: bool) -> None:
    from ecs_appliance.lifecycle.backup import back_up_by_timer
    from ecs_appliance.lifecycle.context import Context

    back_up_by_timer(Context(), nightly=nightly)


@app.command("install")
def install() -> None:
    """Finish the installation with the release this is."""
    from ecs_appliance.lifecycle.context import Context
    from ecs_appliance.lifecycle.install import finish_install

    report = finish_install(Context())
    typer.echo(f"installed: {report.summary()}")
    typer.echo("next: appliance env create DOMAIN /app/env.yml, edit it, then see the manual, chapter Activate")
