"""watch-ecs-ca: give nginx the application's client CA and revocation list, and report problems with them."""

import datetime
import logging
import time

from ecs_appliance.core.runner import ProcessError
from ecs_appliance.host import nginx
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.metrics import Sample, write_metrics
from ecs_appliance.reporting.topics import Severity
from ecs_appliance.tls.client_ca import (
    ClientCA,
    ClientCAError,
    MissingClientCAError,
    current_client_ca,
    deploy_client_ca,
    read_client_ca,
)
from ecs_appliance.tls.credentials import now

log = logging.getLogger(__name__)

# The application writes one file after the other, each in place; within these seconds they are complete and match.
SETTLE_SECONDS = 3.0
POLL_SECONDS = 0.1
PAIR, LIST, AUTHORITY, RELOAD = "client-ca", "client-ca:list", "client-ca:authority", "client-ca:nginx"
LIST_MARGIN, AUTHORITY_MARGIN = datetime.timedelta(days=30), datetime.timedelta(days=90)
# For lists valid for only weeks, the warning comes in their last quarter.
LIST_PART = 4
RENEW = "systemctl restart appliance: the application writes a new list on every start"
METRIC_HELP = {
    "appliance_client_ca_usable": "1 if the application's client CA and revocation list are usable.",
    "appliance_client_ca_stand_in": "1 if nginx has a placeholder that no client certificate can match.",
    "appliance_client_ca_not_after_timestamp_seconds": "Expiry of the client CA that nginx uses.",
    "appliance_client_crl_last_update_timestamp_seconds": "Last update of the revocation list that nginx uses.",
    "appliance_client_crl_next_update_timestamp_seconds": "Expiry of that list, after which all client certificates "
    "are rejected.",
    "appliance_client_crl_revoked": "Certificates on the revocation list that nginx uses.",
}


def follow_client_ca(context: Context) -> None:
    """Give nginx what the application has just written, after waiting briefly for a usable pair."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while isinstance(_application_has(context), ClientCAError) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    check_client_ca(context)


def check_client_ca(context: Context) -> None:
    """Give nginx the application's client CA and revocation list if they changed; set alerts and metrics.

    If the pair is unusable, nginx keeps the last good one and an alert is raised.
    """
    deploy_client_ca(context.paths.ecs_ca, context.paths.client_ca)
    findings = _reload_nginx(context)
    given, current = _application_has(context), current_client_ca(context.paths.client_ca)
    if current is not None:
        findings += plan_findings(given, current, now())
        _write_metrics(context, given, current)
    context.alerts.tell((PAIR, LIST, AUTHORITY, RELOAD), findings)


def plan_findings(given: ClientCA | ClientCAError, current: ClientCA, moment: datetime.datetime) -> list[Finding]:
    """Return what is wrong at `moment` with the application's pair, `given`, and with nginx's, `current`."""
    waits = current.is_placeholder and isinstance(given, MissingClientCAError)
    found = [finding for finding in (_list_ends(current, moment), _authority_ends(current, moment)) if finding]
    if isinstance(given, ClientCAError) and not waits and not any(each.severity == "critical" for each in found):
        message = f"{given.message}: nginx keeps the last good ones and still accepts certificates revoked since then"
        found.append(Finding(PAIR, "critical", message, RENEW))
    return found


def _list_ends(current: ClientCA, moment: datetime.datetime) -> Finding | None:
    end, begin = current.revoked.next_update_utc, current.revoked.last_update_utc
    if end is None or moment < end - min(LIST_MARGIN, (end - begin) / LIST_PART):
        return None
    if end <= moment:
        message = f"all client certificates are rejected: the revocation list expired on {end:%Y-%m-%d %H:%M} UTC"
        return Finding(LIST, "critical", message, RENEW)
    message = f"the revocation list expires on {end:%Y-%m-%d %H:%M} UTC; all client certificates are rejected then"
    return Finding(LIST, "warning", message, RENEW)


def _authority_ends(current: ClientCA, moment: datetime.datetime) -> Finding | None:
    end = current.authority.not_valid_after_utc
    if moment < end - AUTHORITY_MARGIN:
        return None
    severity: Severity = "critical" if end <= moment else "warning"
    message = f"the client CA expires on {end:%Y-%m-%d}, and with it all client certificates"
    hint = "the application must create a new client CA; then issue all client certificates again"
    return Finding(AUTHORITY, severity, message, hint)


def _application_has(context: Context) -> ClientCA | ClientCAError:
    try:
        return read_client_ca(context.paths.ecs_ca)
    except ClientCAError as error:
        return error


def _reload_nginx(context: Context) -> list[Finding]:
    try:
        if nginx.take_into_use(context.paths, context.runner, nginx.CLIENT_CA):
            log.info("nginx uses the new client CA and revocation list")
    except ProcessError as error:
        message = f"nginx does not accept the client CA and revocation list: {error.message}"
        return [
            Finding(RELOAD, "critical", message, "nginx -t shows why; the certificates revoked last are still accepted")
        ]
    return []


def _write_metrics(context: Context, given: ClientCA | ClientCAError, current: ClientCA) -> None:
    values = {
        "appliance_client_ca_usable": float(isinstance(given, ClientCA)),
        "appliance_client_ca_stand_in": float(current.is_placeholder),
        "appliance_client_ca_not_after_timestamp_seconds": current.authority.not_valid_after_utc.timestamp(),
        "appliance_client_crl_last_update_timestamp_seconds": current.revoked.last_update_utc.timestamp(),
        "appliance_client_crl_revoked": float(len(current.revoked)),
    }
    if current.revoked.next_update_utc is not None:
        end = current.revoked.next_update_utc.timestamp()
        values["appliance_client_crl_next_update_timestamp_seconds"] = end
    write_metrics(context.paths, "client-ca", [Sample(name, value) for name, value in values.items()], METRIC_HELP)
