"""appliance-certificate: obtain, renew and deploy server certificates, and check what is served."""

import logging
import time

from ecs_appliance.core.errors import ApplianceError, BusyError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.runner import ProcessError
from ecs_appliance.env.model import Env
from ecs_appliance.host import nginx, systemd
from ecs_appliance.host.dehydrated import Client
from ecs_appliance.lifecycle.certificate_report import forget_certificates, report_certificates
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.converging import is_converged
from ecs_appliance.lifecycle.prepare_env import active_env
from ecs_appliance.tls import acme, probe
from ecs_appliance.tls.acme import IssuanceState
from ecs_appliance.tls.deployment import apply_deployment, plan_deployment
from ecs_appliance.tls.selection import Wanted, can_be_validated, wanted_of
from ecs_appliance.tls.snakeoil import ensure_snakeoil

log = logging.getLogger(__name__)

UNIT = "appliance-certificate.service"
FORCE = "force.update.letsencrypt"
# Seconds to wait for another run of this stage, and for any process that changes the machine.
ROUND_WAIT, MACHINE_WAIT = 30, 900


def keep_certificates(context: Context) -> None:
    """Obtain the certificates that are due, deploy the best ones, check that they are served, and report problems.

    A certificate that cannot be obtained does not fail the stage: the last good one stays, and an alert says why.
    Raises ApplianceError, after reporting, if nginx rejects what was deployed.
    """
    if not context.paths.active_env.exists():
        log.info("no environment is active yet")
        return
    try:
        with locked(context.paths.run / "certificate.lock", "server certificates", wait=ROUND_WAIT):
            _keep(context)
            # systemd merges a start during this run into it, so a flag that was set meanwhile would have no effect.
            if context.flags.get(FORCE) is not None:
                _keep(context)
    except BusyError as error:
        log.info("%s", error.message)


def start_in_background(context: Context) -> None:
    """Start the unit without waiting for it, so that a slow or failing authority affects no caller."""
    try:
        systemd.start_in_background(context.runner, UNIT)
    except ProcessError as error:
        log.warning("certificates are not checked or renewed: %s", error.message)


def _keep(context: Context) -> None:
    env = active_env(context)
    if env.appliance.standby:
        forget_certificates(context)
        return
    records = _request(context, env)
    # A reload may have changed the environment meanwhile; under the lock, the active one is final.
    with locked(context.paths.lock, "server certificates", wait=MACHINE_WAIT):
        want = wanted_of(active_env(context))
        deployment = plan_deployment(context.paths, want, ensure_snakeoil(context.paths, want.names))
        if apply_deployment(deployment):
            log.info("deployed: %s", ", ".join(f"{each.name} ({each.source})" for each in deployment.selections))
        refused = _reload_nginx(context)
    seen = probe.probe_until_stable(lambda: probe.probe(deployment.selections))
    report_certificates(context, want, deployment.selections, records, seen)
    if refused is not None:
        raise refused


def _request(context: Context, env: Env) -> dict[str, IssuanceState]:
    """Request the certificates that are due, and return the records of all names that ACME is responsible for."""
    want, authority = wanted_of(env), acme.authority_of(env)
    names = _names(want)
    if not names:
        return {}
    if not is_converged(context):
        log.info("the active environment has not been applied to the machine yet, so no certificates are requested")
        return {name: record for name, record in acme.read_issuance(context.paths).items() if name in names}
    forced = context.flags.get(FORCE) is not None
    client = Client(context.runner, context.paths.acme, authority.directory)
    records = acme.request(context.paths, client, names, authority, now=time.time, forced=forced)
    if forced:
        context.flags.clear(FORCE)
    return records


def _names(want: Wanted) -> tuple[str, ...]:
    return tuple(name for name in want.names if can_be_validated(name)) if want.acme else ()


def _reload_nginx(context: Context) -> ApplianceError | None:
    """Reload nginx if the certificates changed; return the error if that fails."""
    try:
        nginx.take_into_use(context.paths, context.runner, nginx.CERTIFICATES)
    except ApplianceError as error:
        return error
    return None
