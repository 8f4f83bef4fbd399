"""`appliance stage`: the commands that systemd units start."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from ecs_appliance.cli.tree import Tree

if TYPE_CHECKING:
    from ecs_appliance.lifecycle.context import Context

app = Tree(
    no_args_is_help=True,
    hidden=True,
    help="Run a stage, as its systemd unit does; do not use it by hand.",
    example="systemctl start prepare-env",
)
Unit = Annotated[str, typer.Argument(metavar="UNIT", help="Name of the unit that failed.")]


def _run(name: str, work: "Callable[[Context], object]") -> None:
    from ecs_appliance.lifecycle.boundary import run_stage
    from ecs_appliance.lifecycle.context import Context

    run_stage(Context(), name, work)


@app.command("prepare-env", example="appliance stage prepare-env")
def prepare_env() -> None:
    """Find, check and activate the environment."""
    from ecs_appliance.lifecycle.prepare_env import prepare_env

    _run("prepare-env", prepare_env)


@app.command("prepare-appliance", example="appliance stage prepare-appliance")
def prepare_appliance() -> None:
    """Prepare storage, machine, database and keys."""
    from ecs_appliance.lifecycle.prepare_appliance import prepare_appliance

    _run("prepare-appliance", prepare_appliance)


@app.command("prepare-ecs", example="appliance stage prepare-ecs")
def prepare_ecs() -> None:
    """Prepare the application's source, images and database."""
    from ecs_appliance.lifecycle.prepare_ecs import prepare_ecs

    _run("prepare-ecs", prepare_ecs)


@app.command("run", example="appliance stage run")
def run() -> None:
    """Run the containers in the foreground."""
    from ecs_appliance.lifecycle.run import run

    _run("run", run)


@app.command("reload", example="appliance stage reload")
def reload() -> None:
    """Apply changes that need no restart of the containers."""
    from ecs_appliance.lifecycle.reload import reload_appliance

    _run("reload", reload_appliance)


@app.command("stopped", example="appliance stage stopped")
def stopped() -> None:
    """Report that the containers have stopped."""
    from ecs_appliance.lifecycle.failed import tell_stopped

    _run("stopped", lambda context: tell_stopped(context, os.environ.get("SERVICE_RESULT", "success")))


@app.command("cleanup", example="appliance stage cleanup")
def cleanup() -> None:
    """Remove what is no longer needed."""
    from ecs_appliance.lifecycle.cleanup import clean_up

    _run("cleanup", clean_up)


@app.command("failed", example="appliance stage failed prepare-ecs")
def failed(unit: Unit) -> None:
    """Report the failure of a unit of the appliance."""
    from ecs_appliance.lifecycle.failed import tell_appliance_failed

    _run("failed", lambda context: tell_appliance_failed(context, unit))


@app.command("service-failed", example="appliance stage service-failed nginx")
def service_failed(unit: Unit) -> None:
    """Report the failure of a unit without stopping the site."""
    from ecs_appliance.lifecycle.failed import tell_service_failed

    _run("service-failed", lambda context: tell_service_failed(context, unit))


@app.command("update", example="appliance stage update")
def update() -> None:
    """Update everything, and restart the site if necessary."""
    from ecs_appliance.lifecycle.update import update

    _run("update", update)


@app.command("client-ca", example="appliance stage client-ca")
def client_ca() -> None:
    """Pass the application's client CA and CRL to nginx."""
    from ecs_appliance.lifecycle.client_ca import follow_client_ca

    _run("client-ca", follow_client_ca)


@app.command("certificate", example="appliance stage certificate")
def certificate() -> None:
    """Renew and check certificates; check CA, ssh and keyring."""
    from ecs_appliance.lifecycle.certificate import keep_certificates
    from ecs_appliance.lifecycle.client_ca import check_client_ca
    from ecs_appliance.lifecycle.machine_report import report_machine

    def work(context: "Context") -> None:
        report_machine(context)
        check_client_ca(context)
        keep_certificates(context)

    _run("certificate", work)


@app.command("check", example="appliance stage check")
def check() -> None:
    """Run all checks and write the login message."""
    from ecs_appliance.checks.check import Machine
    from ecs_appliance.checks.overview import write_motd
    from ecs_appliance.checks.run import run_checks

    def work(context: "Context") -> None:
        machine = Machine(context)
        run_checks(machine)
        write_motd(machine)

    _run("check", work)


@app.command("firewall", example="appliance stage firewall")
def firewall() -> None:
    """Load the firewall rules from their files."""
    from ecs_appliance.converge.firewall import load_firewall
    from ecs_appliance.converge.names import refresh_names

    def work(context: "Context") -> None:
        load_firewall(context.paths, context.runner)
        refresh_names(context.paths, context.runner)

    _run("firewall", work)


@app.command("names", example="appliance stage names")
def names() -> None:
    """Resolve the host names that containers may reach."""
    from ecs_appliance.converge.names import refresh_names

    _run("names", lambda context: refresh_names(context.paths, context.runner))


@app.command("volumes", example="appliance stage volumes")
def volumes() -> None:
    """Mount /data and /volatile with nosuid and nodev."""
    from ecs_appliance.lifecycle.storage import fence_volumes

    _run("volumes", lambda context: fence_volumes(context.paths, context.runner))


@app.command("backup", example="appliance stage backup")
def backup() -> None:
    """Back up, dump the database, remove old backups and check."""
    from ecs_appliance.lifecycle.backup import back_up_by_timer

    _run("backup", lambda context: back_up_by_timer(context, nightly=True))


@app.command("backup-frequent", example="appliance stage backup-frequent")
def backup_frequent() -> None:
    """Make the frequent backup."""
    from ecs_appliance.lifecycle.backup import back_up_by_timer

    _run("backup-frequent", lambda context: back_up_by_timer(context, nightly=False))


@app.command("rehearsal", example="appliance stage rehearsal")
def rehearsal() -> None:
    """Rehearse a recovery from the newest backup."""
    from ecs_appliance.lifecycle.rehearsal import rehearse_by_timer

    _run("rehearsal", rehearse_by_timer)


@app.command("rehearsal-clear", example="appliance stage rehearsal-clear")
def rehearsal_clear() -> None:
    """Remove what an interrupted rehearsal left."""
    from ecs_appliance.backup.rehearsal import clear_stages

    _run("rehearsal-clear", lambda context: clear_stages(context.paths, context.runner))


@app.command("install", example="appliance stage install")
def install() -> None:
    """Finish the installation of this release."""
    from ecs_appliance.lifecycle.install import finish_install

    def work(context: "Context") -> None:
        report = finish_install(context)
        typer.echo(f"installed: {report.summary()}")
        typer.echo("next: appliance env create DOMAIN /app/env.yml, edit it, then see chapter Activate of the manual")

    _run("install", work)
