"""appliance-certificate: server certificates got, renewed, deployed, and looked at as they are served."""

import logging
import time

from ecs_appliance.converge.applied import contents_digest, is_applied, mark_applied
from ecs_appliance.core.errors import BusyError
from ecs_appliance.core.locks import locked
from ecs_appliance.env.model import Env
from ecs_appliance.host import systemd
from ecs_appliance.host.dehydrated import Client
from ecs_appliance.lifecycle.certificate_report import report_certificates
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.prepare_env import active_env
from ecs_appliance.tls import acme, served
from ecs_appliance.tls.acme import Record
from ecs_appliance.tls.deployment import apply_deployment, plan_deployment
from ecs_appliance.tls.selection import Wanted, can_be_validated, wanted_of
from ecs_appliance.tls.snakeoil import ensure_snakeoil

log = logging.getLogger(__name__)

UNIT = "appliance-certificate.service"
FORCE = "force.update.letsencrypt"
LOCK_WAIT = 30
NGINX = "nginx.service"
# As in salt/states/nginx, so that what one has done the other does not do again.
APPLIED = "nginx server certificates"
FILES = ["/etc/nginx/appliance/certificates/*"]


def keep_certificates(context: Context) -> None:
    """Get what is due, deploy what is best, see that it is served, and tell what is wrong.

    A certificate that is not to be had is no failure of this stage: the last good one stays, and an alert says why.
    """
    if not context.paths.active_env.exists():
        log.info("no environment is active yet")
        return
    env = active_env(context)
    if env.appliance.standby:
        return
    try:
        with locked(context.paths.run / "certificate.lock", "server certificates", wait=LOCK_WAIT):
            _keep(context, env)
    except BusyError as error:
        log.info("%s", error.message)


def start_in_background(context: Context) -> None:
    """Let systemd do it: whoever asks does not wait for an authority far away."""
    context.runner.run(["systemctl", "start", "--no-block", UNIT], timeout=systemd.QUICK)


def _keep(context: Context, env: Env) -> None:
    want = wanted_of(env)
    records = _request(context, env, want)
    deployment = plan_deployment(context.paths, want, ensure_snakeoil(context.paths, want.names))
    if apply_deployment(deployment):
        log.info("deployed: %s", ", ".join(f"{each.name} ({each.source})" for each in deployment.selections))
    _reload_nginx(context)
    seen = served.look_settled(lambda: served.look(deployment.selections))
    report_certificates(context, want, deployment.selections, records, seen)


def _request(context: Context, env: Env, want: Wanted) -> dict[str, Record]:
    """What is remembered of each name that ACME is asked for, after asking for what is due."""
    names = tuple(name for name in want.names if can_be_validated(name)) if want.acme else ()
    forced = context.flags.get(FORCE) is not None
    client = Client(context.runner, context.paths.acme)
    records = acme.request(context.paths, client, names, acme.authority_of(env), now=time.time, forced=forced)
    context.flags.clear(FORCE)
    return records


def _reload_nginx(context: Context) -> None:
    digest = contents_digest(FILES, context.paths.root)
    if is_applied(context.paths, APPLIED, digest) or not systemd.is_active(context.runner, NGINX):
        return
    context.runner.run(["nginx", "-t", "-q"], timeout=systemd.QUICK)
    systemd.reload(context.runner, NGINX)
    mark_applied(context.paths, APPLIED, digest)
