"""Alerts about the client CA and its revocation list, as they approach their expiry."""

import pytest
from cryptography import x509

from ecs_appliance.lifecycle.client_ca import AUTHORITY, LIST, PAIR, plan_findings
from ecs_appliance.tls.client_ca import STAND_IN_NAME, ClientCA, ClientCAError, MissingClientCAError
from tests.authorities import Authority, moment

OURS = Authority("client CA")


def pair(days: tuple[float, float] = (-1, 365), authority: Authority = OURS) -> ClientCA:
    """Return nginx's client CA, with a list that is valid for `days`."""
    return ClientCA(authority.certificate, x509.load_pem_x509_crl(authority.revocation_list(days=days).encode()))


def told(given: ClientCA | ClientCAError, current: ClientCA) -> list[tuple[str, str]]:
    return [(finding.topic, finding.severity) for finding in plan_findings(given, current, moment())]


def test_what_is_well_is_not_told() -> None:
    assert told(pair(), pair()) == []


@pytest.mark.parametrize(
    ("days", "severity"),
    [
        ((-340, 31), None),
        ((-340, 29), "warning"),
        ((-340, -0.1), "critical"),
        ((-20, 10), None),
        ((-25, 5), "warning"),
    ],
)
def test_the_end_of_the_list_is_told_a_month_or_a_quarter_before(
    days: tuple[float, float], severity: str | None
) -> None:
    assert told(pair(days), pair(days)) == ([(LIST, severity)] if severity else [])


@pytest.mark.parametrize(("left", "severity"), [(91, None), (89, "warning"), (-1, "critical")])
def test_the_end_of_the_client_ca_is_told(left: float, severity: str | None) -> None:
    old = pair(authority=Authority("old", days=(-3000, left)))
    assert told(old, old) == ([(AUTHORITY, severity)] if severity else [])


def test_what_the_application_has_broken_is_told_with_the_way_out() -> None:
    findings = plan_findings(ClientCAError("the list is half"), pair(), moment())
    assert [(finding.topic, finding.severity) for finding in findings] == [(PAIR, "critical")]
    assert "the list is half" in findings[0].message
    assert "systemctl restart appliance" in findings[0].hint


def test_one_cause_is_told_once() -> None:
    expired = pair((-30, -1))
    assert told(ClientCAError("expired"), expired) == [(LIST, "critical")]


def test_an_application_that_was_never_there_is_waited_for() -> None:
    stand_in = pair(authority=Authority(STAND_IN_NAME))
    assert told(MissingClientCAError("missing"), stand_in) == []
    assert told(ClientCAError("broken"), stand_in) == [(PAIR, "critical")]
    assert told(MissingClientCAError("missing"), pair()) == [(PAIR, "critical")]
