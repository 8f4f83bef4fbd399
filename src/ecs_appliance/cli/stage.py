"""`appliance stage`: what the units start; not for people."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ecs_appliance.lifecycle.context import Context

app = typer.Typer(no_args_is_help=True, hidden=True, help="What systemd's units start.")


def _run(name: str, work: "Callable[[Context], object]") -> None:
    from ecs_appliance.lifecycle.boundary import run_stage
    from ecs_appliance.lifecycle.context import Context

    run_stage(Context(), name, work)


@app.command("prepare-env")
def prepare_env() -> None:
    """Find, check and activate the environment."""
    from ecs_appliance.lifecycle.prepare_env import prepare_env

    _run("prepare-env", prepare_env)


@app.command("prepare-appliance")
def prepare_appliance() -> None:
    """Prepare storage, machine, database and keys."""
    from ecs_appliance.lifecycle.prepare_appliance import prepare_appliance

    _run("prepare-appliance", prepare_appliance)


@app.command("prepare-ecs")
def prepare_ecs() -> None:
    """Prepare the application's source, images and database."""
    from ecs_appliance.lifecycle.prepare_ecs import prepare_ecs

    _run("prepare-ecs", prepare_ecs)


@app.command("run")
def run() -> None:
    """Run the containers in the foreground."""
    from ecs_appliance.lifecycle.run import run

    _run("run", run)


@app.command("reload")
def reload() -> None:
    """Apply what needs no restart of the containers."""
    from ecs_appliance.lifecycle.reload import reload_appliance

    _run("reload", reload_appliance)


@app.command("stopped")
def stopped() -> None:
    """Show that the containers have ended."""
    from ecs_appliance.lifecycle.failed import tell_stopped

    _run("stopped", lambda context: tell_stopped(context, os.environ.get("SERVICE_RESULT", "success")))


@app.command("cleanup")
def cleanup() -> None:
    """Remove what is no longer needed."""
    from ecs_appliance.lifecycle.cleanup import clean_up

    _run("cleanup", clean_up)


@app.command("failed")
def failed(unit: str) -> None:
    """Report that a unit of the appliance failed."""
    from ecs_appliance.lifecycle.failed import tell_appliance_failed

    _run("failed", lambda context: tell_appliance_failed(context, unit))


@app.command("service-failed")
def service_failed(unit: str) -> None:
    """Report that a unit failed which the site can do without."""
    from ecs_appliance.lifecycle.failed import tell_service_failed

    _run("service-failed", lambda context: tell_service_failed(context, unit))


@app.command("update")
def update() -> None:
    """Update everything, restart where due."""
    from ecs_appliance.lifecycle.update import update

    _run("update", update)


@app.command("client-ca")
def client_ca() -> None:
    """Give nginx the application's client CA and CRL."""
    from ecs_appliance.lifecycle.client_ca import follow_client_ca

    _run("client-ca", follow_client_ca)


@app.command("certificate")
def certificate() -> None:
    """Get, deploy and look at server certificates; see whether the client CA holds, and the machine's ways in."""
    from ecs_appliance.lifecycle.certificate import keep_certificates
    from ecs_appliance.lifecycle.client_ca import check_client_ca
    from ecs_appliance.lifecycle.machine_report import report_machine

    def work(context: "Context") -> None:
        report_machine(context)
        check_client_ca(context)
        keep_certificates(context)

    _run("certificate", work)


@app.command("check")
def check() -> None:
    """See what is wrong now, and tell who logs in."""
    from ecs_appliance.checks.check import Machine
    from ecs_appliance.checks.checks import run_checks
    from ecs_appliance.checks.overview import write_motd

    def work(context: "Context") -> None:
        machine = Machine(context)
        run_checks(machine)
        write_motd(machine)

    _run("check", work)


@app.command("firewall")
def firewall() -> None:
    """Load the firewall's rules as their files have them now."""
    from ecs_appliance.converge.firewall import load_firewall
    from ecs_appliance.converge.names import refresh_names

    def work(context: "Context") -> None:
        load_firewall(context.paths, context.runner)
        refresh_names(context.paths, context.runner)

    _run("firewall", work)


@app.command("names")
def names() -> None:
    """Look up the names that the firewall lets containers reach."""
    from ecs_appliance.converge.names import refresh_names

    _run("names", lambda context: refresh_names(context.paths, context.runner))


@app.command("volumes")
def volumes() -> None:
    """Have nothing below /data and /volatile give rights."""
    from ecs_appliance.lifecycle.storage import fence_volumes

    _run("volumes", lambda context: fence_volumes(context.paths, context.runner))


@app.command("backup")
def backup() -> None:
    """Back up, dump, remove what is old, check."""
    from ecs_appliance.lifecycle.backup import back_up_by_timer

    _run("backup", lambda context: back_up_by_timer(context, nightly=True))


@app.command("backup-frequent")
def backup_frequent() -> None:
    """Back up."""
    from ecs_appliance.lifecycle.backup import back_up_by_timer

    _run("backup-frequent", lambda context: back_up_by_timer(context, nightly=False))


@app.command("rehearsal")
def rehearsal() -> None:
    """Rehearse a recovery."""
    from ecs_appliance.lifecycle.rehearsal import rehearse_by_timer

    _run("rehearsal", rehearse_by_timer)


@app.command("rehearsal-clear")
def rehearsal_clear() -> None:
    """Leave nothing of a rehearsal that was cut off."""
    from ecs_appliance.backup.rehearsal import clear_stages

    _run("rehearsal-clear", lambda context: clear_stages(context.paths, context.runner))


@app.command("install")
def install() -> None:
    """Finish the installation with the release this is."""
    from ecs_appliance.lifecycle.install import finish_install

    def work(context: "Context") -> None:
        report = finish_install(context)
        typer.echo(f"installed: {report.summary()}")
        typer.echo("next: appliance env create DOMAIN /app/env.yml, edit it, then see the manual, chapter Activate")

    _run("install", work)
