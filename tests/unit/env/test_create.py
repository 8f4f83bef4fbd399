"""Fill in the template; tests/integration/env creates real keys."""

import re
from pathlib import Path

import pytest

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.env.check import check
from ecs_appliance.env.create import TEMPLATE, Secrets, dns_records, fill
from ecs_appliance.env.schema_walk import keys
from ecs_appliance.env.tree import Scalar, parse, scalar

ACCEPTED = Path(__file__).parents[2] / "fixtures/env/accepted"


def text_at(path: str) -> str:
    node = parse((ACCEPTED / "smallest.yml").read_text()).entries
    *parents, last = path.split(".")
    for part in parents:
        node = node[part].entries  # type: ignore[union-attr]
    value = node[last]
    assert isinstance(value, Scalar)
    return str(scalar(value))


@pytest.fixture
def fresh() -> Secrets:
    return Secrets(
        dkim_key=text_at("appliance.dkim.key"),
        backup_key=text_at("appliance.backup.encrypt"),
        backup_password="a password",
        vault_encrypt_key=text_at("ecs.vault_encrypt"),
        vault_sign_key=text_at("ecs.vault_sign"),
        secret_key="one",
        registration_secret="two",
        password_reset_secret="three",
    )


def test_the_template_becomes_a_file_that_lacks_only_what_nobody_else_knows(fresh: Secrets) -> None:
    data = fill(TEMPLATE.read_text(), "ecs.example.org", fresh).encode()
    checked = check(data)
    places = {problem.path: data.decode().split("\n")[problem.line - 1] for problem in checked.problems}
    assert places == {
        "ssh_authorized_keys": "#cloud-config",
        "appliance.backup.url": "    url: file:///volatile/ecs-backup-test/",
        "ecs.settings": "    ETHICS_COMMISSION_UUID = 'ecececececececececececececececec'",
    }
    assert not check(data, strict=True).ok
    assert checked.env is not None
    assert checked.env.appliance.domain == "ecs.example.org"
    assert "SECRET_KEY = 'one'" in checked.env.ecs.settings.get_secret_value()
    assert checked.env.appliance.ssl.letsencrypt.enabled


def test_localhost_gets_no_certificate_of_a_ca(fresh: Secrets) -> None:
    env = check(fill(TEMPLATE.read_text(), "localhost", fresh).encode()).env
    assert env is not None
    assert not env.appliance.ssl.letsencrypt.enabled


def test_the_template_speaks_of_every_key() -> None:
    text = TEMPLATE.read_text()
    words = set(re.findall(r"^[ #-]*(\w+):", text, re.MULTILINE))
    assert [key.path for key in keys() if key.path.rpartition(".")[2] not in words] == []


def test_the_records_are_ready_to_paste(fresh: Secrets) -> None:
    records = dns_records("ecs.example.org", fresh.dkim_key)
    kinds = [record.split()[2] for record in records]
    assert kinds == ["A", "MX", "PTR", "TXT", "TXT", "TXT", "CAA"]
    strings = [part for record in records for part in re.findall('"([^"]*)"', record)]
    assert all(len(part) <= 255 for part in strings)
    assert any(part.startswith("v=DKIM1; k=rsa; p=MI") for part in strings)
    head = fill(TEMPLATE.read_text(), "ecs.example.org", fresh).splitlines()
    assert all(f"# {record}" in head for record in records)


def test_a_line_with_one_name_leads_all_its_lines(fresh: Secrets) -> None:
    lines = fill("a: |\n  {{ dkim_key }}\nb: {{ domain }}!\n", "x.example.org", fresh).splitlines()
    assert lines[1] == "  -----BEGIN RSA PRIVATE KEY-----"
    assert all(line.startswith("  ") for line in lines[1:-1])
    assert lines[-1] == "b: x.example.org!"


def test_a_template_that_asks_for_something_unknown_is_refused(fresh: Secrets) -> None:
    with pytest.raises(ApplianceError, match='the template has an unknown name: "password"'):
        fill("{{ password }}", "x.example.org", fresh)


def test_fresh_secrets_are_not_shown(fresh: Secrets) -> None:
    assert "PRIVATE" not in repr(fresh)
