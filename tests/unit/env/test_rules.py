"""Problems that would keep a site from starting, or make its backups unusable, are reported beforehand."""

import pytest

from ecs_appliance.env.check import check, load

SECRETS = "\n".join(f"{name} = 'x'" for name in ("SECRET_KEY", "REGISTRATION_SECRET", "PASSWORD_RESET_SECRET"))
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
NEEDED = {"appliance.backup.encrypt", "appliance.dkim.key", "ecs.vault_encrypt", "ecs.vault_sign"}


def problems(appliance: str, settings: str = "", *, keys: str = f"[{KEY}]") -> list[str]:
    """Return the problems of a site with these keys, except for those about missing ones."""
    text = f"#cloud-config\nssh_authorized_keys: {keys}\nappliance:\n{appliance}\necs:\n  settings: |\n"
    text += "".join(f"    {line}\n" for line in f"{settings}\n{SECRETS}".splitlines() if line)
    return [problem.format("env.yml") for problem in check(text.encode()).problems if problem.path not in NEEDED]


def site(domain: str, hosts: str = "") -> str:
    return f"  domain: {domain}\n  allowed_hosts: {hosts}\n  backup: {{url: 's3://a.example.org/b'}}"


REFUSED = "ALLOWED_HOSTS does not include {}, appliance.domain: every page would be error 400"


@pytest.mark.parametrize(
    "allowed",
    [
        "['www.example.org']",
        "('a.example.org', 'WWW.example.org')",
        "['.example.org']",
        "['.www.example.org']",
        "['*']",
        "[DOMAIN]",
        "[HOST, DOMAIN]",
    ],
)
def test_a_domain_that_the_application_lets_in_is_well(allowed: str) -> None:
    text = f"HOST = 'other.example.org'\nDOMAIN = 'www.example.org'\nDEBUG = False\nALLOWED_HOSTS = {allowed}"
    assert problems(site("www.Example.org"), text) == []


@pytest.mark.parametrize("allowed", ["[]", "['example.org']", "['.ample.org']", "['www.example.org.evil']", "['']"])
def test_a_domain_that_the_application_refuses_is_an_error_in_its_line(allowed: str) -> None:
    text = f"DEBUG = False\nALLOWED_HOSTS = {allowed}"
    assert problems(site("www.example.org"), text) == [
        "env.yml:10:1: error: ecs.settings: " + REFUSED.format('"www.example.org"')
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ALLOWED_HOSTS = hosts()",
        "ALLOWED_HOSTS = ['a.org']\nALLOWED_HOSTS += ['www.example.org']",
        "ALLOWED_HOSTS = ['a.org']\nALLOWED_HOSTS.append('www.example.org')",
        "ALLOWED_HOSTS = ['a.org', *OTHERS]",
        "ALLOWED_HOSTS = [NAME]\nNAME = 'a.org'",
        "ALLOWED_HOSTS = [ALLOWED_HOSTS]",
        "if DEBUG:\n    ALLOWED_HOSTS = ['a.org']",
        "from local import *\nALLOWED_HOSTS = ['a.org']",
        "ALLOWED_HOSTS = DOMAIN = 'a.org'",
    ],
)
def test_what_python_decides_later_is_not_judged(text: str) -> None:
    assert problems(site("www.example.org"), f"DEBUG = False\n{text}") == []


def test_while_it_debugs_an_application_may_let_everybody_in() -> None:
    for text in ("", "DEBUG = True\n"):
        (said,) = problems(site("www.example.org"), f"{text}ALLOWED_HOSTS = ['a.org']")
        assert ": warning: ecs.settings: ALLOWED_HOSTS" in said


def test_a_domain_that_was_changed_in_one_place_is_told_with_the_others() -> None:
    text = "DOMAIN = 'www.example.org'\nALLOWED_HOSTS = [DOMAIN]\nDEBUG = False"
    assert problems(site("wwww.example.org", "www.example.org"), text) == [
        'env.yml:5:3: warning: appliance.allowed_hosts: does not include "wwww.example.org", the domain: is one of '
        "them mistyped?",
        'env.yml:9:1: warning: ecs.settings: DOMAIN is "www.example.org", but appliance.domain is "wwww.example.org": '
        "links in e-mails use the former",
        "env.yml:10:1: error: ecs.settings: " + REFUSED.format('"wwww.example.org"'),
    ]


@pytest.mark.parametrize("hosts", ["www.example.org x.org", "*.example.org", "WWW.EXAMPLE.ORG"])
def test_hosts_with_the_domain_among_them_are_well(hosts: str) -> None:
    assert problems(site("www.example.org", f'"{hosts}"')) == []


@pytest.mark.parametrize(
    ("backup", "said"),
    [
        ("{url: 'file:///volatile/x/'}", "4:12: warning: appliance.backup.url: backups stay on this machine"),
        ("{url: 'file:///mnt/../data/x'}", "4:12: warning: appliance.backup.url: backups stay on this machine"),
        ("{}", "4:3: warning: appliance.backup.url: backups stay on this machine"),
        (
            "{url: 'sftp:/backup@host/x', host_keys: [%s]}",
            "4:12: warning: appliance.backup.url: no backup can be stored there",
        ),
        ("{url: 'sftp://host', host_keys: [%s]}", "4:12: warning: appliance.backup.url: no backup can be stored there"),
    ],
)
def test_a_target_that_is_none_is_told(backup: str, said: str) -> None:
    (line,) = problems(f"  backup: {backup.replace('%s', KEY)}\n  domain: www.example.org")
    assert line.startswith(f"env.yml:{said}")


@pytest.mark.parametrize(
    "backup",
    [
        "{url: 'file:///data/b/x', mount: {source: 'nas:/b', target: /data/b}}",
        "{url: 'file:///mnt/b'}",
        "{url: 'sftp://u@host:22/x', host_keys: ['%s']}",
        "{url: 'sftp://u@host/x', host_keys: ['10.214.3.2 %s']}",
    ],
)
def test_a_target_elsewhere_is_well(backup: str) -> None:
    assert problems(f"  backup: {backup.replace('%s', KEY)}\n  domain: www.example.org") == []


def test_keys_of_a_server_are_taken_as_ssh_keyscan_prints_them() -> None:
    keys = [KEY, f"10.214.3.2 {KEY}", f"[host]:2222,10.0.0.1 {KEY} comment"]
    text = f"#cloud-config\nappliance:\n  standby: true\n  backup:\n    host_keys: {keys}\n"
    assert load(text.encode()).appliance.backup.host_keys == (KEY,) * 3


def test_nobodys_key_and_the_templates_commission_are_told() -> None:
    said = problems(site("a.org"), "ETHICS_COMMISSION_UUID = 'ECECECEC-ecec-ecec-ecec-ecececececec'", keys="[]")
    assert said == [
        "env.yml:2:1: warning: ssh_authorized_keys: has no key: nobody can log in with an SSH key",
        "env.yml:9:1: warning: ecs.settings: ETHICS_COMMISSION_UUID is still the template's: replace it with your own",
    ]
