"""How the state of certificates is reported to people and programs."""

from pathlib import Path

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.lifecycle.certificate_report import judge, judge_served, report_certificates
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.tls.acme import IssuanceState
from ecs_appliance.tls.credentials import read_credentials
from ecs_appliance.tls.probe import ProbeResult
from ecs_appliance.tls.selection import Selection, Source, Wanted
from tests.authorities import Authority

NAME = "www.example.org"
ISSUER = Authority()
ACME = Wanted((NAME,), acme=True)
GIVEN = Wanted((NAME,), read_credentials(*ISSUER.server(NAME)))
REFUSED = Wanted((NAME,), refused="the certificate in env.yml is not used: expired", acme=True)
FAILED = IssuanceState(failures=2, error="the connection was refused")


def selection(source: Source, days: float, name: str = NAME, refused: str = "") -> Selection:
    return Selection(name, source, read_credentials(*ISSUER.server(NAME, days=(-60, days))), refused)


@pytest.mark.parametrize(
    ("want", "chosen", "record", "told"),
    [
        (ACME, selection("acme", 60), IssuanceState(renewed=1), None),
        (ACME, selection("acme", 20), FAILED, ("warning", "was not renewed and expires on")),
        (ACME, selection("acme", 2), FAILED, ("critical", "the connection was refused")),
        (ACME, selection("snakeoil", 900, refused="none yet"), None, ("critical", "self-signed certificate: none yet")),
        (ACME, selection("snakeoil", 900, refused="none yet"), FAILED, ("critical", "the connection was refused")),
        (Wanted((NAME,)), selection("snakeoil", 900), None, None),
        (GIVEN, selection("given", 60), None, None),
        (GIVEN, selection("given", 20), None, ("warning", "in env.yml expires on")),
        (GIVEN, selection("given", 1), None, ("critical", "in env.yml expires on")),
        (GIVEN, selection("given", 60, "docs.example.org"), None, ("warning", "is not valid for docs.example.org")),
        (GIVEN, selection("given", 1, "docs.example.org"), None, ("warning", "is not valid for docs.example.org")),
        (GIVEN, selection("given", 60, "192.0.2.1"), None, None),
        (REFUSED, selection("acme", 60, "docs.example.org"), None, None),
        (REFUSED, selection("acme", 60), None, ("critical", "expired; www.example.org uses an ACME certificate")),
        (REFUSED, selection("snakeoil", 900), None, ("critical", "expired; www.example.org uses a self-signed")),
    ],
)
def test_each_state_is_told_as_what_it_is(
    want: Wanted, chosen: Selection, record: IssuanceState | None, told: tuple[str, str] | None
) -> None:
    concern = judge(want, chosen, record)
    if told is None:
        assert concern is None
        return
    assert concern is not None
    assert (concern.severity, told[1] in concern.message) == (told[0], True), concern.message
    assert concern.hint


def test_a_mismatch_names_port_and_remedy() -> None:
    assert judge_served(ProbeResult(NAME, 443)) is None
    concern = judge_served(ProbeResult(NAME, 443, "another"))
    assert concern is not None and "nginx" in concern.hint
    mail = judge_served(ProbeResult(NAME, 465, "another"))
    assert mail is not None and "465" in mail.hint


def test_alerts_of_names_that_are_no_more_go_and_metrics_name_everything(tmp_path: Path) -> None:
    context = Context(Paths(tmp_path))
    context.alerts.put("certificate:gone.example.org", "critical", "x")
    context.alerts.put("clock", "warning", "not ours")
    served = [ProbeResult(NAME, 443), ProbeResult(NAME, 25, "another")]
    report_certificates(context, ACME, [selection("acme", 20)], {NAME: FAILED}, served)
    assert {alert.topic for alert in context.alerts.standing()} == {"clock", f"certificate:{NAME}", f"served:{NAME}:25"}
    text = (context.paths.metrics / "appliance-certificate.prom").read_text()
    for line in (
        f'appliance_certificate_self_signed{{name="{NAME}"}} 0',
        f'appliance_certificate_failures{{name="{NAME}"}} 2',
        f'appliance_certificate_mismatch{{name="{NAME}",port="443"}} 0',
        f'appliance_certificate_mismatch{{name="{NAME}",port="25"}} 1',
    ):
        assert line in text.splitlines()
    report_certificates(
        context, ACME, [selection("acme", 60)], {NAME: IssuanceState(renewed=1.0)}, [ProbeResult(NAME, 443)]
    )
    assert [alert.topic for alert in context.alerts.standing()] == ["clock"]
