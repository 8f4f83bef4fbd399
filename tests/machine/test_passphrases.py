"""Passwords and passphrases are shown once, and stored nowhere."""

import json
import shlex
import time
from typing import TYPE_CHECKING

import pytest

from tests.machine.people import Person, make_person, query

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

WEB = "ecs_ecs.web_1"
PASSWORD = "select password from auth_user where email = :'address'"
COUNT = "select count(*) from pki_certificate where cn = :'name'"


@pytest.fixture
def stamp() -> str:
    """Make the names of this run unique, since the machine may be a kept one."""
    return f"{time.time_ns():x}"


@pytest.fixture
def person(demo: "Demo", stamp: str) -> Person:
    """Create an internal user."""
    return make_person(demo, stamp)


def on_a_terminal(demo: "Demo", *words: str) -> str:
    """Return what a command shows on its own terminal, while /run/seen collects all command lines of the machine."""
    command = shlex.quote(shlex.join(words))
    watch = 'while :; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "; echo; done >>/run/seen & watcher=$!'
    return demo.sh(f"{watch}; script -qec {command} /dev/null; code=$?; kill $watcher; exit $code")


def test_secrets_are_shown_on_the_terminal_and_kept_nowhere(demo: "Demo", person: Person, stamp: str) -> None:
    demo.sh("rm -f /run/seen /root/secret.p12")
    shown = on_a_terminal(demo, "create-internal-user.sh", person.address, "Ä", "O'Brien", "f", "--reset").split()
    password = shown[shown.index("password") + 1]
    words = ("create-client-certificate.sh", person.address, f"secret {stamp}", "--output", "/root/secret.p12")
    shown = on_a_terminal(demo, *words).split()
    passphrase = shown[shown.index("passphrase") + 1]
    assert (len(password), len(passphrase)) == (17, 16)
    assert demo.sh("grep -c 'manage.py shell' /run/seen") != "0"
    # The last two frame everything that is sent to the application and received from it.
    demo.machine.guest.push("/run/needles", f"{password}\n{passphrase}\n@@appliance:\nb64decode(\n", mode=0o600)
    for place in (
        "cat /run/seen",
        "journalctl --boot=all --all --output=cat",
        "for name in $(docker ps --all --format={{.Names}}); do docker logs $name 2>&1; done",
        "find /var/log /volatile/docker/containers /tmp /var/tmp -type f -exec cat {} +",
        "psql -U postgres ecs -c 'select query from pg_stat_statements'",
        "pg_dump -U postgres ecs",
        f"docker exec {WEB} sh -c 'find /tmp /app -xdev -type f -newer /proc/1 -size -1M -exec cat {{}} +'",
    ):
        found = demo.sh(f"{{ {place}; }} | grep --text --only-matching --fixed-strings --file=/run/needles || true")
        assert (place, found) == (place, "")
    demo.sh("rm -f /run/seen /run/needles /root/secret.p12")


@pytest.mark.parametrize(
    "within",
    [
        "systemd-run --quiet --wait --collect",
        "systemd-run --quiet --wait --collect --property=StandardError=null",
        "systemd-cat",
        "systemd-cat --stderr-priority=warning",
        "env -u JOURNAL_STREAM systemd-cat sh -c 'unset JOURNAL_STREAM; exec \"$@\"' sh",
        "sh -c 'exec \"$@\" >&-' sh",
    ],
)
def test_nothing_is_made_where_the_secret_would_be_kept_or_lost(
    demo: "Demo", person: Person, within: str, stamp: str
) -> None:
    address = shlex.quote(person.address)
    before = query(demo, PASSWORD, address=person.address)
    for command in (
        f"create-internal-user.sh {address} A B f --reset",
        f"create-client-cert.sh {address} 'kept {stamp}' --output /root/kept.p12",
    ):
        assert demo.exec(["sh", "-c", f"{within} {command}"]).returncode == 4
    assert query(demo, PASSWORD, address=person.address) == before
    assert query(demo, COUNT, name=f"kept {stamp}") == "0"


def test_a_unit_may_pipe_the_secret_elsewhere(demo: "Demo", person: Person) -> None:
    words = f"create-internal-user.sh {shlex.quote(person.address)} A B f --reset --json"
    assert "password" in json.loads(demo.sh(f"systemd-run --quiet --wait --collect --pipe {words}"))


def test_a_secret_that_nobody_saw_is_told_with_the_next_step(demo: "Demo", person: Person, stamp: str) -> None:
    address = shlex.quote(person.address)
    unseen = demo.exec(["sh", "-c", f"create-internal-user.sh {address} A B f --reset >/dev/full"])
    assert (unseen.returncode, "run the command again with --reset" in unseen.stderr) == (1, True)
    script = f"create-client-cert.sh {address} 'unseen {stamp}' --output /run/unseen.p12 >/dev/full; rm /run/unseen.p12"
    unseen = demo.exec(["sh", "-c", script])
    assert f"appliance cert revoke 'unseen {stamp}'" in unseen.stderr
    assert "Traceback" not in unseen.stderr
