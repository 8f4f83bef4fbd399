"""The application of a running site: its users, certificates, keys and images, and its access to the database."""

import json
from collections.abc import Sequence
from typing import Protocol

import pytest


class Outcome(Protocol):
    """The result of a command in the machine."""

    returncode: int
    stdout: str
    stderr: str


class Demo(Protocol):
    """The running site of tests/machine/conftest.py."""

    def exec(self, argv: Sequence[str]) -> Outcome:
        """Run `argv` in the machine."""
        ...


ADDRESS = "sean.o'brien@example.org"
WEB = "ecs_ecs.web_1"


def output(demo: Demo, *argv: str) -> str:
    done = demo.exec(argv)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def query(demo: Demo, statement: str) -> str:
    words = ("psql", "--username=postgres", "--dbname=ecs", "--no-align", "--tuples-only")
    return output(demo, *words, f"--command={statement}")


def in_python(demo: Demo, expression: str) -> str:
    """Return `expression`, evaluated in the application's own Python."""
    code = f"print('@', {expression})"
    script = f"printf '%s\\n' \"$1\" | docker exec -i {WEB} /start run ./manage.py shell"
    lines = output(demo, "sh", "-c", script, "sh", code).splitlines()
    return next(line.partition("@ ")[2] for line in lines if "@ " in line)


def test_internal_user_can_log_in_with_the_password_printed(demo: Demo) -> None:
    made = output(demo, "appliance", "user", "create", ADDRESS, 'Seán "Jö"', "O'Brien", "m", "--reset", "--json")
    password = json.loads(made)["password"]
    check = f"__import__('ecs.users.utils', fromlist=['x']).get_user({ADDRESS!r}).check_password({password!r})"
    assert in_python(demo, check) == "True"
    person = query(
        demo,
        "select first_name, last_name, is_active, gender, is_internal from auth_user u "
        "join users_userprofile p on p.user_id = u.id where email like 'sean.o%'",
    )
    assert person == 'Seán "Jö"|O\'Brien|t|m|t'


def test_second_call_gives_another_password_to_the_same_user(demo: Demo) -> None:
    words = ("create-internal-user.sh", ADDRESS, "Seán", "O'Brien", "m", "--reset")
    assert output(demo, *words) != output(demo, *words)
    assert query(demo, "select count(*) from auth_user where email like 'sean.o%'") == "1"


NONSENSE = (("x@", "A", "B", "f"), ("a@example.org", "A\nB", "C", "f"), ("a@example.org", "A", "B", "d"))


@pytest.mark.parametrize("words", NONSENSE)
def test_nonsense_is_refused(demo: Demo, words: tuple[str, ...]) -> None:
    assert demo.exec(("appliance", "user", "create", *words)).returncode == 2


def test_certificate_opens_with_its_passphrase_and_its_name_is_used_once(demo: Demo) -> None:
    output(demo, "appliance", "user", "create", ADDRESS, "Seán", "O'Brien", "m", "--reset")
    target = "/root/office-desk.p12"
    output(demo, "rm", "-f", target)
    name = "office " + output(demo, "date", "+%s%N")
    words = ("appliance", "cert", "create", ADDRESS, name, "30", "--output", target, "--json")
    passphrase = json.loads(output(demo, *words))["passphrase"]
    script = 'openssl pkcs12 -legacy -in "$1" -nokeys -passin stdin | openssl x509 -noout -subject -checkend 2500000'
    shown = output(demo, "sh", "-c", f'printf "%s\\n" "$2" | {script}', "sh", target, passphrase)
    assert name in shown
    assert "will not expire" in shown
    assert output(demo, "stat", "--format=%a", target) == "600"
    output(demo, "rm", target)
    again = demo.exec(words)
    assert again.returncode == 4
    assert "already" in again.stderr


def test_nobody_can_log_in_as_a_test_user(demo: Demo) -> None:
    counts = query(
        demo,
        "select count(*), count(*) filter (where is_active) "
        "from auth_user u join users_userprofile p on p.user_id = u.id where is_testuser",
    )
    assert counts == "48|0"


def test_database_password_is_stored_as_scram_and_known_to_nobody_else(demo: Demo) -> None:
    stored = query(demo, "select rolpassword from pg_authid where rolname = 'app'")
    assert stored.startswith("SCRAM-SHA-256$")
    file = output(demo, "cat", "/app/etc/ecs/database_url.env")
    password = file.split(":")[2].split("@")[0]
    assert output(demo, "stat", "--format=%U %a", "/app/etc/ecs/database_url.env") == "root 600"
    for container in ("ecs_redis_1", "ecs_memcached_1"):
        assert password not in output(demo, "docker", "inspect", container)
    assert demo.exec(("grep", "-rqF", password, "/var/log/postgresql")).returncode == 1
    assert password not in query(demo, "select query from pg_stat_statements")
    assert password not in output(demo, "journalctl", "--no-pager", "--quiet", "--boot")


def test_application_signs_and_encrypts_with_the_keys_of_the_environment(demo: Demo) -> None:
    blocks = ("ecs.vault_encrypt", "ecs.vault_sign")
    script = (
        "import ruamel.yaml, sys; e = ruamel.yaml.YAML(typ='safe').load(open('/run/active-env.yml'));"
        "print(e['ecs']['vault_encrypt'] + e['ecs']['vault_sign'])"
    )
    listing = "gpg --with-colons --import-options show-only --import | grep ^fpr | cut -d: -f10"
    wanted = output(demo, "sh", "-c", f'/app/appliance/.venv/bin/python -c "{script}" | {listing}').split()
    assert len(wanted) >= len(blocks)
    listed = output(
        demo,
        *("docker", "exec", WEB, "/start", "run", "gpg1", "--homedir", "/app/ecs-gpg"),
        *("--batch", "--with-colons", "--with-fingerprint", "--list-secret-keys"),
    )
    seen = [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr")]
    assert seen[:2] == [fingerprint for fingerprint in wanted if fingerprint in seen][:2]
    assert output(demo, "stat", "--format=%u %a", "/data/ecs-gpg/secring.gpg") == "0 600"


def test_dump_was_made_before_the_migration(demo: Demo) -> None:
    dumps = output(demo, "sh", "-c", "ls /data/ecs-pgdump/ecs-before-migration.*.pgdump").splitlines()
    output(demo, "pg_restore", "--list", dumps[-1])


def test_image_is_named_by_its_commit(demo: Demo) -> None:
    commit = output(demo, "cat", "/app/etc/tags/last_running_ecs")
    running = output(demo, "docker", "inspect", "--format={{.Image}}", WEB)
    assert output(demo, "docker", "image", "inspect", "--format={{.Id}}", f"ecs/ecs:{commit}") == running
    assert output(demo, "docker", "exec", WEB, "printenv", "ECS_GIT_REV") == commit


def test_nothing_that_ran_once_is_left(demo: Demo) -> None:
    names = output(demo, "docker", "ps", "--all", "--format={{.Names}}").split()
    assert not [name for name in names if name.startswith("appliance-")]


def test_the_applications_own_tests_pass_in_its_image(demo: Demo) -> None:
    done = demo.exec(["docker", "run", "--rm", "ecs/ecs", "run", "./manage.py", "test"])
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stderr.splitlines()[-2]
