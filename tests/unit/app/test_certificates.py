"""Questions to the application about certificates, and the handling of its answers."""

from datetime import UTC, datetime, timedelta

import pytest

from ecs_appliance.app import certificates
from ecs_appliance.app.arguments import ArgumentError
from tests.unit.app.application import Application

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TOLD = {
    "name": "Büro 1",
    "user": "o'brien@example.org",
    "serial": 10,
    "created": "2026-01-01T00:00:00+00:00",
    "expires": "2026-01-08T00:00:00+00:00",
    "revoked": None,
}


def test_certificate_comes_with_its_passphrase() -> None:
    application = Application({"passphrase": "abcdef", "pkcs12": "AAEC"})
    made = certificates.create_client_certificate(application, "a@example.org", "Büro 1", 60)
    assert (made.pkcs12, made.passphrase) == (b"\x00\x01\x02", "abcdef")
    assert "abcdef" not in repr(made)


@pytest.mark.parametrize(
    ("email", "name", "days", "send_to"),
    [
        ("nobody", "a", 7, ""),
        ("a/b@x.org", "a", 7, ""),
        ("a@x.org", "", 7, ""),
        ("a@x.org", "a", 0, ""),
        ("a@x.org", "a", 3651, ""),
        ("a@x.org", "a", 7, "nobody"),
    ],
)
def test_nonsense_is_not_asked_for(email: str, name: str, days: int, send_to: str) -> None:
    application = Application({})
    with pytest.raises(ArgumentError):
        certificates.create_client_certificate(application, email, name, days, send_to=send_to)
    assert application.asked == ""


def test_empty_names_are_not_looked_for() -> None:
    application = Application({})
    with pytest.raises(ArgumentError):
        certificates.list_certificates(application, "")
    with pytest.raises(ArgumentError):
        certificates.revoke_certificates(application, ["one", ""])
    assert application.asked == ""


def test_certificates_are_valid_until_they_expire_or_are_revoked() -> None:
    (found,) = certificates.list_certificates(Application({"certificates": [TOLD]}))
    assert found.state(NOW) == "valid"
    assert found.state(found.expires - timedelta(seconds=1)) == "valid"
    assert found.state(found.expires) == "expired"
    (revoked,) = certificates.list_certificates(
        Application({"certificates": [{**TOLD, "revoked": "2026-01-02T00:00:00+00:00"}]})
    )
    assert [revoked.state(moment) for moment in (NOW, found.expires)] == ["revoked", "revoked"]
    assert revoked.revoked == NOW


@pytest.mark.parametrize(("serial", "text"), [(1, "01"), (10, "0A"), (255, "FF"), (256, "0100"), (4096, "1000")])
def test_serial_is_written_as_nginx_logs_it(serial: int, text: str) -> None:
    (found,) = certificates.list_certificates(Application({"certificates": [{**TOLD, "serial": serial}]}))
    assert found.serial_text == text


def test_what_was_revoked_before_is_told_apart() -> None:
    told = [{**TOLD, "name": name, "revoked": "2026-01-02T00:00:00+00:00"} for name in ("one", "two")]
    done = certificates.revoke_certificates(Application({"certificates": told, "new": ["two"]}), ["one", "two"])
    assert [(one.certificate.name, one.new) for one in done] == [("one", False), ("two", True)]
