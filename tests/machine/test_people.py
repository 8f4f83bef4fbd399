"""Users of a running site: admitted, listed, locked out, refused."""

import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from ecs_appliance.app import users
from ecs_appliance.core.runner import Result
from tests.machine.people import REFUSALS, Person, client, is_logged_in, log_in, make_person, query, told

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until


WEB = "ecs_ecs.web_1"
# A revocation list reaches nginx within 2 s on an idle machine, but other machines run at the same time.
CRL_SECONDS = 10.0
SAME = "select count(*) from auth_user where lower(email) = lower(:'address')"
FIRST, LAST = 'Seán "Jö" \\ $(id) %s {}', "O'Brien'; DROP TABLE auth_user; --"


@pytest.fixture
def stamp() -> str:
    """Make the names of this run unique, since the machine may be a kept one."""
    return f"{time.time_ns():x}"


@pytest.fixture
def person(demo: "Demo", stamp: str) -> Person:
    """Create an internal user."""
    return make_person(demo, stamp, FIRST, LAST)


def test_names_arrive_as_they_were_typed(demo: "Demo", person: Person) -> None:
    row = query(demo, "select first_name, last_name from auth_user where email = :'address'", address=person.address)
    assert row == f"{FIRST}|{LAST}"
    (listed,) = [
        user for user in told(demo, "appliance", "user", "list", "--json")["users"] if user["email"] == person.address
    ]
    wanted = {"first_name": FIRST, "last_name": LAST, "internal": True, "test": False, "active": True}
    assert listed == {"email": person.address, **wanted, "last_login": None, "certificates": 0}


def test_nobody_is_taken_over_by_another_way_to_write_the_address(demo: "Demo", person: Person) -> None:
    words = ("create-internal-user.sh", person.address.upper(), "A", "B", "f")
    state = "select password, first_name, last_name, is_active from auth_user where email = :'address'"
    before = query(demo, state, address=person.address)
    for address in (person.address.upper(), person.address):
        done = demo.exec([words[0], address, *words[2:]])
        assert (done.returncode, done.stdout) == (4, "")
        assert f"user {person.address} already exists: " in done.stderr
        assert ", internal, active\n" in done.stderr
        assert "--reset" in done.stderr
    assert query(demo, state, address=person.address) == before
    known = told(demo, *words, "--reset", "--json")
    assert (known["user"], known["created"]) == (person.address, False)
    with closing(client(demo)) as browser:
        assert log_in(browser, person.address, known["password"])
    assert query(demo, SAME, address=person.address) == "1"


def test_the_table_can_be_read_in_a_pipe_and_in_a_terminal(demo: "Demo", person: Person) -> None:
    (line,) = [line for line in demo.sh("appliance user list").splitlines() if line.startswith(person.address)]
    assert re.split(r"  +", line) == [
        person.address,
        f"{FIRST} {LAST}",
        "internal",
        "active",
        "never",
        "none",
    ]
    folded = demo.sh("script -qec 'stty cols 60; appliance user list' /dev/null").splitlines()
    assert max(map(len, folded)) <= 60
    assert "\x1b" not in "".join(folded)
    everyone = demo.sh("appliance user list --all").splitlines()
    assert sum("  test  " in line for line in everyone) == 48


def test_a_certificate_has_umlauts_and_blanks_and_is_listed(
    demo: "Demo", person: Person, stamp: str, tmp_path: Path
) -> None:
    name = f"Büro für O'Brien {stamp}"
    certificate = person.certificate(name, tmp_path)
    assert certificate.answers() == {200}
    (listed,) = told(demo, "appliance", "cert", "list", "--user", person.address.lower(), "--json")["certificates"]
    assert (listed["name"], listed["user"], listed["state"]) == (name, person.address, "valid")
    shown = demo.exec(["openssl", "x509", "-noout", "-serial"], data=certificate.file.read_text()).stdout.strip()
    assert shown == f"serial={listed['serial']}"
    assert name in demo.sh("appliance cert list")


def test_a_revoked_certificate_is_refused_at_once_and_another_is_not(
    demo: "Demo", person: Person, stamp: str, tmp_path: Path
) -> None:
    lost, kept = (person.certificate(f"{kind} Ü {stamp}", tmp_path) for kind in ("lost", "kept"))
    assert lost.answers() == kept.answers() == {200}
    done = told(demo, "appliance", "cert", "revoke", lost.name, "--yes", "--json")
    assert lost.answers() <= REFUSALS
    assert kept.answers() == {200}
    assert (done["name"], done["state"], done["new"]) == (lost.name, "revoked", True)
    times = "stat -L -c %.9Y /app/ecs-ca/crl.pem /etc/nginx/client-ca/crl.pem"
    written, deployed = map(float, demo.sh(times).split())
    assert 0 <= deployed - written < CRL_SECONDS
    assert done["nginx_seconds"] < CRL_SECONDS
    listing = demo.sh(f"appliance cert list --user {shlex.quote(person.address)}").splitlines()
    assert [line.split("  ")[0] for line in listing[1:-1]] == [kept.name]
    assert listing[-1] == "1 certificate; 1 revoked not shown: --all"


def test_after_it_says_so_not_one_handshake_more_is_accepted(
    demo: "Demo", person: Person, stamp: str, tmp_path: Path
) -> None:
    certificate = person.certificate(f"raced {stamp}", tmp_path)
    seen: list[tuple[float, int]] = []
    with hammering(lambda: seen.append((time.time(), certificate.answer("1.3")))):
        command = (
            f"appliance cert revoke --yes {shlex.quote(certificate.name)} | while read -r line; do date +%s.%N; done"
        )
        said = float(demo.sh(command).splitlines()[-1])
        time.sleep(1)
    assert seen[0][1] == 200
    after = {status for began, status in seen if began > said}
    assert after
    assert after <= REFUSALS


@contextmanager
def hammering(work: Callable[[], None]) -> Iterator[None]:
    """Repeat `work` in a thread as long as the context is open."""
    enough = Event()

    def again() -> None:
        while not enough.is_set():
            work()

    thread = Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def test_revoking_again_says_since_when_and_rewrites_nothing(
    demo: "Demo", person: Person, stamp: str, tmp_path: Path
) -> None:
    name = person.certificate(f"twice {stamp}", tmp_path).name
    first = told(demo, "appliance", "cert", "revoke", name, "--yes", "--json")
    state = "stat -L -c '%.9Y %i' /app/ecs-ca/crl.pem /etc/nginx/client-ca/crl.pem"
    before = demo.sh(state)
    again = told(demo, "appliance", "cert", "revoke", name, "--yes", "--json")
    assert (again["new"], again["revoked"]) == (False, first["revoked"])
    assert "already since 20" in demo.sh(f"appliance cert revoke --yes {shlex.quote(name)}")
    assert demo.sh(state) == before


def test_two_revoked_at_once_are_both_refused(demo: "Demo", person: Person, stamp: str, tmp_path: Path) -> None:
    both = [person.certificate(f"{number} of two {stamp}", tmp_path) for number in (1, 2)]
    commands = " & ".join(f"appliance cert revoke --yes {shlex.quote(one.name)}" for one in both)
    demo.sh(f"{commands} & wait")
    assert both[0].answers() | both[1].answers() <= REFUSALS


@pytest.fixture
def unwatched(demo: "Demo") -> Iterator[None]:
    """Keep nginx from being notified of a new revocation list."""
    demo.sh("systemctl stop watch-ecs-ca.path")
    yield
    demo.sh("systemctl start watch-ecs-ca.path watch-ecs-ca.service")


@pytest.mark.usefixtures("unwatched")
def test_what_nginx_does_not_refuse_is_not_called_refused(
    demo: "Demo", person: Person, stamp: str, tmp_path: Path
) -> None:
    certificate = person.certificate(f"unwatched {stamp}", tmp_path)
    done = demo.exec(["appliance", "cert", "revoke", "--yes", certificate.name])
    assert done.returncode == 7
    assert done.stdout == ""
    assert "still accepted" in done.stderr
    assert "systemctl start watch-ecs-ca" in done.stderr
    assert certificate.answers() == {200}
    demo.sh("systemctl start watch-ecs-ca")
    assert told(demo, "appliance", "cert", "revoke", certificate.name, "--yes", "--json")["new"] is False
    assert certificate.answers() <= REFUSALS


def test_who_is_disabled_is_out_at_once(demo: "Demo", person: Person, stamp: str, tmp_path: Path) -> None:
    name = person.certificate(f"left {stamp}", tmp_path).name
    with closing(person.session()) as browser, closing(person.session()) as other:
        done = demo.exec(["appliance", "user", "disable", person.address.lower()])
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            f"disabled     {person.address}",
            "sessions     2 ended",
            "certificates 1 still valid",
            f"  → appliance cert revoke '{name}'",
        ]
        assert not is_logged_in(browser)
        assert not is_logged_in(other)
        assert not log_in(browser, person.address, person.password)
        # Old Django checks is_active only at login, so the sessions themselves must be gone.
        query(demo, "update auth_user set is_active = true where email = :'address'", address=person.address)
        assert not is_logged_in(other)
        assert log_in(other, person.address, person.password)
        assert is_logged_in(other)


def test_disabling_again_is_no_error_and_revokes_where_asked(
    demo: "Demo", person: Person, stamp: str, tmp_path: Path
) -> None:
    certificates = [person.certificate(f"{number} left {stamp}", tmp_path) for number in (1, 2)]
    words = ("appliance", "user", "disable", person.address, "--json")
    names = [one.name for one in certificates]
    first = {"ok": True, "email": person.address, "sessions": 0, "certificates": names}
    assert told(demo, *words) == {**first, "was_active": True, "certificates_revoked": False}
    assert told(demo, *words, "--revoke-certs", "--yes") == {**first, "was_active": False, "certificates_revoked": True}
    assert certificates[0].answers() | certificates[1].answers() <= REFUSALS
    assert "was already disabled" in demo.sh(
        f"appliance user disable --yes --revoke-certs {shlex.quote(person.address)}"
    )
    told(demo, "create-internal-user.sh", person.address, "A", "B", "f", "--reset", "--json")
    (listed,) = [
        one for one in told(demo, "appliance", "user", "list", "--json")["users"] if one["email"] == person.address
    ]
    assert (listed["active"], listed["certificates"]) == (True, 0)


def test_sessions_that_are_in_no_table_end_with_the_password(demo: "Demo", person: Person) -> None:
    elsewhere = "SESSION_ENGINE = 'django.contrib.sessions.backends.signed_cookies'"
    shell = f'ECS_SETTINGS="$ECS_SETTINGS\n{elsewhere}" exec /start run ./manage.py shell'

    def send(text: str) -> Result:
        return demo.exec(["docker", "exec", "-i", WEB, "sh", "-c", shell], data=text)

    assert users.disable_user(send, person.address).sessions is None
    state = "select is_active, password like '!%' from auth_user where email = :'address'"
    assert query(demo, state, address=person.address) == "f|t"


LONG = "x" * 300
NONSENSE = (
    *(("create-internal-user.sh", "x@", "A", "B", "f"), ("create-internal-user.sh", "a@example.org", "A\nB", "C", "f")),
    *(
        ("create-internal-user.sh", "a@example.org", "A\u202eB", "C", "f"),
        ("create-internal-user.sh", "", "A", "B", "f"),
    ),
    *(
        ("create-internal-user.sh", "a@example.org", LONG, "B", "f"),
        ("create-internal-user.sh", "a@b.org", "A", "B", "x"),
    ),
    *(("create-internal-user.sh", "--help-me", "A", "B", "f"), ("create-internal-user.sh", "a@example.org", "A", "B")),
    *(("create-client-cert.sh", "a@example.org", "n", days) for days in ("0", "3651", "-1", "x", "")),
    *(("create-client-cert.sh", "a@example.org", name) for name in ("", "-n", "a\nb", "a/b", LONG, "\x1b[31m")),
    *(("create-client-certificate.sh", address, "n") for address in ("", "nobody", LONG, "a/b@example.org")),
    *(("appliance", "user", "disable", address) for address in ("", "nobody", "a\n@b")),
    *(("appliance", "cert", "list", "--user", ""), ("appliance", "cert", "revoke", "--yes", "")),
)


def test_nonsense_is_refused_and_nothing_is_asked(demo: "Demo") -> None:
    for words in NONSENSE:
        done = demo.exec(words)
        assert (words, done.returncode, done.stdout) == (words, 2, "")
        assert "\x1b" not in done.stderr
    assert query(demo, "select count(*) from auth_user where email in ('a@example.org', 'a@b.org')") == "0"


UNKNOWN = (
    ("create-client-cert.sh", "nobody@example.org", "n"),
    ("appliance", "user", "disable", "nobody@example.org"),
    ("appliance", "cert", "list", "--user", "no'body@example.org"),
    ("appliance", "cert", "revoke", "--yes", "nothing of \x1b[31m this name"),
    ("appliance", "cert", "revoke", "--yes", LONG),
)


def test_unknown_people_and_certificates_are_refused(demo: "Demo") -> None:
    for words in UNKNOWN:
        done = demo.exec(words)
        assert (words, done.returncode, done.stdout) == (words, 4, "")
        assert "no such" in done.stderr
        assert "\x1b" not in done.stderr


RUNNING_ONLY = (
    ("create-internal-user.sh", "a@example.org", "A", "B", "f"),
    ("create-client-cert.sh", "a@example.org", "n"),
    ("appliance", "user", "list"),
    ("appliance", "user", "disable", "a@example.org"),
    ("appliance", "cert", "list"),
    ("appliance", "cert", "revoke", "--yes", "n"),
)


def test_without_the_application_nobody_is_let_in(demo: "Demo", until: "Until") -> None:
    demo.sh("systemctl stop appliance")
    outcomes = [demo.exec(words) for words in RUNNING_ONLY]
    demo.sh("systemctl start appliance", timeout=300)
    until(demo.answers, 60)
    assert [done.returncode for done in outcomes] == [6] * len(RUNNING_ONLY)
    assert all("systemctl start appliance" in done.stderr and not done.stdout for done in outcomes)
