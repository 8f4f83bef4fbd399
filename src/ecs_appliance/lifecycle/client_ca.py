"""watch-ecs-ca: what the application revokes is refused from the next handshake on."""

import logging

from ecs_appliance.core.applied import contents_digest, is_applied, mark_applied
from ecs_appliance.host import systemd
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.tls.client_ca import client_ca_is_usable, deploy_client_ca

log = logging.getLogger(__name__)


# As in salt/states/nginx, so that what one has done the other does not do again.
APPLIED = "nginx client ca"
FILES = ["/etc/nginx/client-ca/*"]


def follow_client_ca(context: Context) -> None:
    """Give nginx the application's client CA and CRL where they changed; a broken pair leaves the last good one."""
    paths = context.paths
    if not client_ca_is_usable(paths.ecs_ca):
        log.error("%s holds no valid CA with its CRL: nginx keeps the last good ones", paths.ecs_ca)
        return
    deploy_client_ca(paths.ecs_ca, paths.client_ca)
    digest = contents_digest(FILES, paths.root)
    if not is_applied(paths, APPLIED, digest):
        systemd.reload(context.runner, "nginx.service")
        mark_applied(paths, APPLIED, digest)
        log.info("nginx has the new client CA and CRL")
