"""Bad input on a running appliance is reported clearly, and the site stays up."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ecs_appliance.core.runner import SystemRunner
from lab.demo import Demonstration
from lab.progress import PlainProgress
from lab.repositories import sign

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until

REPOSITORY = "/srv/git/ecs.git"
WORK = "/root/ecs-work"


@pytest.fixture
def updated(demo: "Demo") -> Iterator[None]:
    """Update once, after all changes of a test have been undone."""
    yield
    demo.sh("rm -f /run/appliance_failed; systemctl reset-failed; systemctl start appliance-update", timeout=600)


@pytest.fixture
def env_file(demo: "Demo") -> Iterator[None]:
    """Restore /app/env.yml afterwards, without activating it."""
    before = demo.machine.guest.pull("/app/env.yml")
    yield
    demo.machine.guest.push("/app/env.yml", before, mode=0o600)
    demo.sh("systemctl reset-failed")


@pytest.fixture
def env_kept(updated: None, env_file: None) -> None:
    """Restore /app/env.yml afterwards and activate it."""


@pytest.fixture
def source(demo: "Demo", updated: None) -> Iterator[Callable[[str], str]]:
    """Yield a function that commits what a shell script does to the application's source; undo it all afterwards."""
    demo.sh(f"rm -rf {WORK}; git clone --quiet {REPOSITORY} {WORK}")
    first = demo.sh(f"git -C {WORK} rev-parse HEAD")

    def commit(script: str) -> str:
        identity = "-c user.name=test -c user.email=test@localhost"
        steps = ("git add --all", f"git {identity} commit --quiet --message=test", "git push --quiet")
        demo.sh("\n".join((f"cd {WORK}", script, *steps)))
        made = demo.sh(f"git -C {WORK} rev-parse HEAD")
        # The demonstration signs what it publishes.
        key = Demonstration(demo.name, PlainProgress(sys.stderr)).signing_key
        sign(demo.machine.folder.git / "ecs.git", made, key, SystemRunner())
        return made

    yield commit
    demo.sh(f"cd {WORK}; git push --quiet --force origin {first}:$(git branch --show-current); rm -rf {WORK}")
    # Forced, because this commit is older than the one that runs.
    demo.sh("touch /app/etc/flags/force.update.ecs")


def add_migration(name: str, statement: str, after: str = "0001_initial") -> str:
    """Return a shell script that adds migration `name`, which runs `statement` and depends on `after`."""
    return f"""cat > ecs/integration/migrations/{name}.py <<'END'
from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [("integration", "{after}")]
    operations = [migrations.RunSQL("{statement}", migrations.RunSQL.noop)]
END
"""


def tag(demo: "Demo", name: str) -> str:
    return demo.sh(f"cat /app/etc/tags/{name}")


@pytest.mark.parametrize(
    "damage",
    [
        "echo '  broken: [' >> /app/env.yml",
        "head -c 10000000 /dev/urandom > /app/env.yml",
        "sed -i 's/domain: .*/domain: \"a;reboot.example.org\"/' /app/env.yml",
        ": > /app/env.yml",
    ],
)
def test_a_broken_env_changes_nothing_on_a_running_appliance(demo: "Demo", env_file: None, damage: str) -> None:
    active = demo.sh("sha256sum /run/active-env.yml")
    web = demo.sh("docker inspect --format={{.Id}} ecs_ecs.web_1")
    demo.sh(damage)
    assert demo.exec(["env-update.sh"]).returncode == 3
    assert demo.exec(["systemctl", "start", "appliance-update"]).returncode != 0
    assert "/app/env.yml" in demo.sh("journalctl -u appliance-update -n 30 -o cat")
    demo.exec(["systemctl", "reload", "appliance"])
    assert demo.sh("sha256sum /run/active-env.yml") == active
    assert demo.sh("docker inspect --format={{.Id}} ecs_ecs.web_1") == web
    assert demo.answers()


def test_a_restart_with_a_broken_env_comes_up_with_the_active_one(demo: "Demo", env_kept: None) -> None:
    demo.sh("echo '  broken: [' >> /app/env.yml; systemctl restart appliance", timeout=300)
    assert demo.answers()
    assert "stays active" in demo.sh("journalctl -u prepare-env -n 30 -o cat")


def test_a_build_that_fails_keeps_the_running_version(demo: "Demo", source: Callable[[str], str]) -> None:
    running = tag(demo, "last_running_ecs")
    web = demo.sh("docker inspect --format={{.Id}} ecs_ecs.web_1")
    source("echo 'RUN exit 9' >> Dockerfile")
    assert demo.exec(["systemctl", "start", "appliance-update"], timeout=600).returncode != 0
    assert demo.answers()
    assert demo.sh("docker inspect --format={{.Id}} ecs_ecs.web_1") == web
    demo.sh("systemctl reset-failed; systemctl restart appliance", timeout=600)
    assert demo.answers()
    assert tag(demo, "last_running_ecs") == running
    assert "branch" in tag(demo, "last_failed_ecs")


def test_a_new_version_is_built_migrated_after_a_dump_and_started(demo: "Demo", source: Callable[[str], str]) -> None:
    dumps = demo.sh("ls /data/ecs-pgdump | wc -l")
    migration = add_migration("0099_test", "create table if not exists made_by_migration (n int)")
    commit = source(migration)
    demo.sh("systemctl start appliance-update", timeout=600)
    assert demo.answers()
    assert tag(demo, "last_running_ecs") == tag(demo, "last_migration_ecs") == commit
    assert int(demo.sh("ls /data/ecs-pgdump | wc -l")) == min(int(dumps) + 1, 3)
    assert demo.sh("psql -U postgres -Atc \"select to_regclass('made_by_migration')\" ecs") == "made_by_migration"
    assert commit in demo.sh("docker inspect --format={{.Config.Image}} ecs_ecs.web_1")


def test_a_migration_that_may_not_run_by_itself_keeps_the_running_version(
    demo: "Demo", env_kept: None, source: Callable[[str], str]
) -> None:
    running = tag(demo, "last_running_ecs")

    def forbid(env: Any) -> None:
        env["ecs"]["migrate"] = {"auto": False}

    demo.edit_env(forbid)
    source(add_migration("0097_test", "select 1"))
    assert demo.exec(["systemctl", "start", "appliance-update"], timeout=600).returncode != 0
    assert "ecs.migrate.auto" in demo.sh("journalctl -u appliance-update -n 20 -o cat")
    assert demo.answers()
    demo.sh("systemctl reset-failed; systemctl restart appliance", timeout=600)
    assert demo.answers()
    assert tag(demo, "last_running_ecs") == running


def test_a_pin_is_honoured_and_survives_an_update(demo: "Demo", env_kept: None, source: Callable[[str], str]) -> None:
    pinned = tag(demo, "last_running_ecs")
    source("echo newer > newer.txt")

    def pin(env: Any) -> None:
        env["ecs"]["git"]["commitid"] = pinned

    demo.edit_env(pin)
    for _ in range(2):
        demo.sh("systemctl start appliance-update", timeout=600)
        assert tag(demo, "last_running_ecs") == pinned
    assert demo.answers()


def test_a_restart_takes_what_ran_last_and_a_flag_what_is_new(demo: "Demo", source: Callable[[str], str]) -> None:
    running = tag(demo, "last_running_ecs")
    newer = source("echo newer > newer.txt")
    demo.sh("systemctl restart appliance", timeout=600)
    assert tag(demo, "last_running_ecs") == running
    demo.sh("touch /app/etc/flags/update.ecs; systemctl restart appliance", timeout=600)
    assert tag(demo, "last_running_ecs") == newer
    assert demo.exec(["test", "-e", "/app/etc/flags/update.ecs"]).returncode != 0


def standing(demo: "Demo", topic: str) -> list[str]:
    alerts = json.loads(demo.exec(["appliance", "alerts", "--json"]).stdout)["alerts"]
    return [alert["message"] for alert in alerts if alert["topic"] == topic]


def gave_way(demo: "Demo", running: str, bad: str) -> bool:
    """Return whether the version `running` is active again, and the alert says why."""
    said = f"version {bad[:12]} did not come up, {running[:12]} is running again: "
    told = [message.startswith(said) for message in standing(demo, "version")]
    return demo.answers() and told == [True] and tag(demo, "last_running_ecs") == tag(demo, "selected_ecs") == running


def test_a_version_that_does_not_come_up_gives_way_also_when_killed(
    demo: "Demo", source: Callable[[str], str], until: "Until"
) -> None:
    running = tag(demo, "last_running_ecs")
    bad = source("echo 'raise RuntimeError(\"broken\")' >> ecs/wsgi.py")
    demo.sh("systemctl start --no-block appliance-update")
    until(lambda: bad in demo.exec(["docker", "inspect", "--format={{.Config.Image}}", "ecs_ecs.web_1"]).stdout, 300)
    demo.sh("systemctl kill --kill-whom=main --signal=KILL appliance")
    until(lambda: gave_way(demo, running, bad), 300)
    # The bad version is not tried again.
    for command in ("systemctl start appliance-update", "systemctl restart appliance"):
        demo.sh(command, timeout=600)
        assert gave_way(demo, running, bad)
    # A corrected version is deployed automatically.
    better = source("git revert --no-commit HEAD; echo better > better.txt")
    demo.sh("systemctl start appliance-update", timeout=600)
    assert tag(demo, "last_running_ecs") == better
    assert standing(demo, "version") == []


def test_a_migration_that_fails_and_leaves_no_trace_gives_way(demo: "Demo", source: Callable[[str], str]) -> None:
    running = tag(demo, "last_running_ecs")
    bad = source(add_migration("0098_test", "select 1 / 0"))
    assert demo.exec(["systemctl", "start", "appliance-update"], timeout=600).returncode != 0
    assert gave_way(demo, running, bad)
    assert demo.exec(["test", "-e", "/run/appliance-failed"]).returncode != 0
    assert "division by zero" in standing(demo, "version")[0]


def test_a_migration_that_half_came_through_latches_until_a_person_has_looked(
    demo: "Demo", source: Callable[[str], str], until: "Until"
) -> None:
    half = add_migration("0100_test", "create table if not exists half_made (n int)")
    source(half + add_migration("0101_test", "select 1 / 0", after="0100_test"))
    assert demo.exec(["systemctl", "start", "appliance-update"], timeout=600).returncode != 0
    assert demo.exec(["test", "-e", "/run/appliance-failed"]).returncode == 0
    until(lambda: "rm /run/appliance-failed" in demo.sh("cat /var/www/html/status.json"), 30)
    assert demo.get("/").status_code == 503
    assert json.loads(demo.get("/appliance-status.json").text)["kind"] == "failed"
    status = json.loads(demo.sh("cat /var/www/html/status.json"))
    assert (status["kind"], status["step"]) == ("failed", "Migrating the database")
    assert demo.exec(["systemctl", "start", "appliance"]).returncode != 0
    assert "before-migration" in status["next"] + status["error"]


def test_standby_shows_its_page_and_ends_with_the_next_update(demo: "Demo", env_kept: None) -> None:
    demo.sh("sed -i 's/  standby: false/  standby: true/' /app/env.yml; systemctl start appliance-update", timeout=300)
    page = demo.get("/")
    assert page.status_code == 503
    assert "Its operator has put it on standby." in page.text
    assert demo.sh("docker ps --quiet") == ""
    assert demo.sh("systemctl list-units --failed --no-legend") == ""


def test_without_a_database_nothing_is_made_up(demo: "Demo") -> None:
    demo.sh("systemctl stop appliance; psql -U postgres -c 'alter database ecs rename to ecs_kept'")
    try:
        demo.sh("systemctl start appliance", timeout=300)
        page = demo.get("/")
        assert page.status_code == 503
        assert "It is being set up or restored." in page.text
        assert "createdb ecs" in demo.sh("cat /var/www/html/status.json")
        assert demo.sh("psql -U postgres -Atc \"select count(*) from pg_database where datname = 'ecs'\"") == "0"
    finally:
        demo.sh("psql -U postgres -c 'alter database ecs_kept rename to ecs'")
        demo.sh("systemctl start appliance", timeout=300)
    assert demo.answers()


def test_two_at_once_wait_for_each_other(demo: "Demo") -> None:
    both = "set +e; appliance converge & first=$!; appliance converge; second=$?; wait $first; echo $? $second"
    assert demo.sh(both, timeout=120).splitlines()[-1] == "0 0"
    assert demo.answers()
