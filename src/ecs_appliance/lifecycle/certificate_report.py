"""Report on the server certificates: alerts for people, metrics for programs."""

import datetime
from collections.abc import Iterable, Mapping

from ecs_appliance.lifecycle.context import Context
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.metrics import Sample, write_metrics
from ecs_appliance.reporting.topics import Severity
from ecs_appliance.tls.acme import IssuanceState
from ecs_appliance.tls.credentials import now
from ecs_appliance.tls.probe import SITE, ProbeResult
from ecs_appliance.tls.selection import Selection, Wanted, can_be_validated

TOPIC = "certificate:"
SERVED = "served:"
WARN_BEFORE = datetime.timedelta(days=21)
CRITICAL_BEFORE = datetime.timedelta(days=3)
RETRY = (
    "it will be retried automatically; to retry now: touch /app/etc/flags/force.update.letsencrypt; systemctl start "
    "appliance-certificate"
)
SOURCES = {"acme": "an ACME certificate", "snakeoil": "a self-signed certificate"}
FIX_NGINX = "nginx -t; systemctl restart nginx; systemctl start appliance-certificate"
FIX = "correct appliance.ssl in env.yml, then: systemctl reload appliance"
HELP = {
    "appliance_certificate_expiry_timestamp_seconds": "Expiry of the certificate deployed for a name.",
    "appliance_certificate_self_signed": "1 if a name has only a self-signed certificate.",
    "appliance_certificate_renewed_timestamp_seconds": "Last time ACME issued a certificate for a name.",
    "appliance_certificate_failures": "Consecutive attempts in which ACME issued no certificate for a name.",
    "appliance_certificate_mismatch": "1 if a port does not serve the certificate deployed for a name.",
}


def report_certificates(
    context: Context,
    want: Wanted,
    selections: Iterable[Selection],
    records: Mapping[str, IssuanceState],
    seen: Iterable[ProbeResult],
) -> None:
    """Raise and clear alerts, and write the metrics."""
    chosen, looked = list(selections), list(seen)
    judged = [judge(want, each, records.get(each.name)) for each in chosen] + [judge_served(each) for each in looked]
    context.alerts.tell((TOPIC, SERVED), [finding for finding in judged if finding])
    write_metrics(context.paths, "certificate", samples(chosen, records, looked), HELP)


def forget_certificates(context: Context) -> None:
    """Clear all alerts about certificates, as none is served."""
    context.alerts.tell((TOPIC, SERVED), [])


def judge(want: Wanted, selection: Selection, record: IssuanceState | None) -> Finding | None:
    """Return what is wrong with the certificate selected for a name, or None."""
    if selection.source == "given":
        return _judge_given(want, selection)
    if want.refused and selection.name == want.names[0]:
        # There is one pair for all names; report its problem once, for the domain.
        return Finding(
            _topic(selection), "critical", f"{want.refused}; {selection.name} uses {SOURCES[selection.source]}", FIX
        )
    failure = record.error if record is not None and record.failures else ""
    if selection.source == "acme":
        return _judge_issued(selection, failure)
    reason = failure or selection.refused
    if not reason:
        return None
    return Finding(_topic(selection), "critical", f"{selection.name} uses a self-signed certificate: {reason}", RETRY)


def _judge_given(want: Wanted, selection: Selection) -> Finding | None:
    first = selection.name == want.names[0]
    if first and selection.credentials.expires - now() < WARN_BEFORE:
        return Finding(
            _topic(selection), _severity(selection), f"the certificate in env.yml expires on {_end(selection)}", FIX
        )
    # Nobody expects a certificate for an IP address.
    if selection.credentials.covers(selection.name) or not can_be_validated(selection.name):
        return None
    message = f"the certificate in env.yml is not valid for {selection.name}, so browsers reject it there"
    return Finding(_topic(selection), "warning", message, FIX)


def _judge_issued(selection: Selection, failure: str) -> Finding | None:
    if not failure:
        return None
    message = f"the certificate of {selection.name} was not renewed and expires on {_end(selection)}: {failure}"
    return Finding(_topic(selection), _severity(selection), message, RETRY)


def _topic(selection: Selection) -> str:
    return f"{TOPIC}{selection.name}"


def _severity(selection: Selection) -> Severity:
    return "critical" if selection.credentials.expires - now() < CRITICAL_BEFORE else "warning"


def _end(selection: Selection) -> str:
    return f"{selection.credentials.expires:%Y-%m-%d %H:%M} UTC"


def judge_served(seen: ProbeResult) -> Finding | None:
    """Return what is wrong with the certificate that a port presents, or None."""
    if not seen.problem:
        return None
    hint = FIX_NGINX if seen.port == SITE.port else f"restart the server that listens on port {seen.port}"
    topic = f"{SERVED}{seen.name}:{seen.port}"
    return Finding(topic, "critical", f"{seen.name}, port {seen.port}: {seen.problem}", hint)


def samples(
    selections: Iterable[Selection], records: Mapping[str, IssuanceState], seen: Iterable[ProbeResult]
) -> list[Sample]:
    """Return the metrics listed in `HELP`."""
    made = []
    for each in selections:
        labels = {"name": each.name}
        expiry = each.credentials.expires.timestamp()
        made.append(Sample("appliance_certificate_expiry_timestamp_seconds", expiry, {**labels, "source": each.source}))
        made.append(Sample("appliance_certificate_self_signed", each.source == "snakeoil", labels))
    for name, record in records.items():
        made.append(Sample("appliance_certificate_renewed_timestamp_seconds", record.renewed, {"name": name}))
        made.append(Sample("appliance_certificate_failures", record.failures, {"name": name}))
    for look in seen:
        labels = {"name": look.name, "port": str(look.port)}
        made.append(Sample("appliance_certificate_mismatch", bool(look.problem), labels))
    return made
