"""Convergence and the operator's own additions on a running machine."""

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until

Edit = Callable[[Callable[[Any], None]], None]
STATUS = "/var/www/html/status.json"


@pytest.fixture
def edit(demo: "Demo") -> Iterator[Edit]:
    """Yield a function that changes /app/env.yml; restore and activate the old file afterwards."""
    before = demo.machine.guest.pull("/app/env.yml")
    yield demo.edit_env
    demo.machine.guest.push("/app/env.yml", before, mode=0o600)
    demo.sh("systemctl reload appliance", timeout=120)


def plan(demo: "Demo") -> dict[str, Any]:
    report: dict[str, Any] = json.loads(demo.sh("appliance plan --json", timeout=120).splitlines()[-1])
    return report


def test_plain_salt_call_does_the_same(demo: "Demo") -> None:
    said = demo.sh("""salt-call state.highstate pillar='{"appliance": {"enabled": true}}'""", timeout=120)
    # Salt aligns its counts.
    assert re.search(r"^Failed: +0$", said, re.MULTILINE)
    assert "changed=" not in said


def test_plan_shows_a_change_and_makes_none(demo: "Demo") -> None:
    demo.sh("echo '# by hand' >> /etc/nginx/appliance/proxy.inc")
    shown = plan(demo)["shown"]
    assert [state["outcome"] for state in shown if "proxy.inc" in state["name"]] == ["would change"]
    assert "# by hand" in demo.sh("appliance plan")
    assert "# by hand" in demo.sh("cat /etc/nginx/appliance/proxy.inc")
    demo.sh("appliance converge")
    assert "# by hand" not in demo.sh("cat /etc/nginx/appliance/proxy.inc")
    assert plan(demo)["shown"] == []


def test_a_reload_applies_keys_files_packages_and_states_without_a_restart(demo: "Demo", edit: Edit) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl operator"
    web = demo.sh("docker inspect --format={{.State.StartedAt}} ecs_ecs.web_1")

    def additions(env: Any) -> None:
        env["ssh_authorized_keys"] = [key]
        env["appliance"]["extra"] = {
            "files": [
                {"path": "/etc/extra/ö.conf", "contents": "wörd $x\n", "owner": "app:app", "permissions": "0640"}
            ],
            "packages": ["hello"],
            "states": "/etc/extra/state.txt:\n  file.managed:\n    - contents: {{ pillar['appliance']['domain'] }}\n",
        }

    edit(additions)
    demo.sh("systemctl reload appliance", timeout=300)
    assert key in demo.sh("cat /root/.ssh/authorized_keys")
    assert key in demo.sh("cat /app/.ssh/authorized_keys")
    assert demo.sh("cat /etc/extra/ö.conf") == "wörd $x"
    assert demo.sh("stat -c '%U:%G %a' /etc/extra/ö.conf") == "app:app 640"
    assert demo.sh("hello") == "Hello, world!"
    assert demo.sh("cat /etc/extra/state.txt") == "ecs.demo.internal"
    assert demo.sh("docker inspect --format={{.State.StartedAt}} ecs_ecs.web_1") == web

    def deprecate(env: Any) -> None:
        env["ssh_deprecated_keys"] = [key]

    edit(deprecate)
    demo.sh("systemctl reload appliance", timeout=120)
    assert key not in demo.sh("cat /root/.ssh/authorized_keys /app/.ssh/authorized_keys")


def test_broken_extra_states_are_told_and_change_nothing(demo: "Demo", edit: Edit) -> None:
    def broken(env: Any) -> None:
        env["appliance"]["extra"] = {"states": "/etc/extra/never:\n  file.managed: [\n"}
        env["appliance"]["allowed_hosts"] = "ecs.demo.internal never.example.org"

    edit(broken)
    said = demo.exec(["systemctl", "reload", "appliance"])
    assert said.returncode != 0
    assert "appliance.extra.states" in demo.sh("journalctl -u appliance -n 20 -o cat")
    assert "never.example.org" not in demo.sh("cat /etc/nginx/appliance/appliance.conf")
    assert demo.answers()


def test_an_automatic_update_can_be_forbidden(demo: "Demo", edit: Edit) -> None:
    assert demo.exec(["systemctl", "is-active", "appliance-update.timer"]).stdout.strip() == "active"

    def forbid(env: Any) -> None:
        env["appliance"]["update"]["automatic"] = False

    edit(forbid)
    demo.sh("systemctl reload appliance", timeout=120)
    assert demo.exec(["systemctl", "is-enabled", "appliance-update.timer"]).stdout.strip() == "masked"

    def at_night(env: Any) -> None:
        env["appliance"]["update"].update(automatic=True, oncalendar="Sat *-*-* 03:15:00")

    edit(at_night)
    demo.sh("systemctl reload appliance", timeout=120)
    assert "03:15:00" in demo.sh("systemctl show -p TimersCalendar appliance-update.timer")


def test_units_that_somebody_changed_are_as_they_shall_be_again(demo: "Demo") -> None:
    demo.sh("systemctl mask --now apt-cacher-ng; systemctl disable --now appliance-names.timer; systemctl stop nginx")
    shown = json.loads(demo.sh("appliance converge --json"))["shown"]
    assert [state["outcome"] for state in shown] == ["changed"] * 3
    units = "apt-cacher-ng appliance-names.timer nginx"
    assert (
        demo.sh(f"systemctl is-active {units}; systemctl is-enabled {units}").split()
        == ["active"] * 3 + ["enabled"] * 3
    )
    assert json.loads(demo.sh("appliance converge --json"))["shown"] == []


ANOTHER_RELEASE = """
    cd /usr/local/lib/systemd/system
    for name in gone foreign; do
        printf '[Timer]\nOnActiveSec=1h\n[Install]\nWantedBy=timers.target\n' >appliance-$name.timer
        printf '[Service]\nExecStart=sleep infinity\n' >appliance-$name.service
        touch /usr/local/bin/$name.sh
        systemctl daemon-reload
        systemctl enable --now appliance-$name.timer
        systemctl start appliance-$name.service
    done
    printf '%s\n' $PWD/appliance-gone.timer $PWD/appliance-gone.service /usr/local/bin/gone.sh \
        >>/var/lib/ecs-appliance/installed
"""


def test_units_and_commands_of_another_release_are_taken_away(demo: "Demo") -> None:
    """What the operator has added next to them stays."""
    demo.sh(ANOTHER_RELEASE)
    outcomes = {state["name"]: state["outcome"] for state in json.loads(demo.sh("appliance converge --json"))["shown"]}
    assert set(outcomes.values()) == {"changed"}
    assert len(outcomes) == 2, "also systemd has to read its units anew"
    for name, state in (("gone", "inactive"), ("foreign", "active")):
        units = f"appliance-{name}.timer appliance-{name}.service"
        assert demo.exec(["sh", "-c", f"systemctl is-active {units}"]).stdout.split() == [state] * 2
        links = "/usr/local/bin /usr/local/lib/systemd/system /etc/systemd/system/timers.target.wants"
        assert len(demo.sh(f"find {links} -name '*{name}.*'").split()) == (4 if name == "foreign" else 0)
    assert json.loads(demo.sh("appliance converge --json"))["shown"] == []
    demo.sh("systemctl disable --now appliance-foreign.timer; systemctl stop appliance-foreign.service")
    demo.sh("rm /usr/local/bin/foreign.sh /usr/local/lib/systemd/system/appliance-foreign.*; systemctl daemon-reload")


def test_manual_pages_and_completion_are_installed(demo: "Demo") -> None:
    share = "/usr/local/share"
    demo.sh(f"test -s {share}/man/man8/appliance-backup-run.8; dpkg -s bash-completion >/dev/null")
    loaded = f". {share}/bash-completion/completions/appliance; complete -p appliance"
    assert demo.sh(f"bash -c '{loaded}'") == "complete -o default -F _appliance appliance"


def test_shell_users_get_the_environment(demo: "Demo") -> None:
    script = """
        . /usr/local/share/appliance/env.include
        ENV_YML=/run/active-env.yml userdata_to_env ecs,appliance
        . /usr/local/share/appliance/appliance.include
        echo "$APPLIANCE_DOMAIN $ECS_GIT_SOURCE $APPLIANCE_STORAGE_IGNORE_DATA"
    """
    assert demo.sh(script) == "ecs.demo.internal /srv/git/ecs.git true"
    assert (
        demo.sh("flatyaml.py --file /run/active-env.yml appliance | grep ^APPLIANCE_STANDBY")
        == "APPLIANCE_STANDBY=false"
    )


def test_postgresql_is_tuned_and_reached_by_the_application_alone(demo: "Demo") -> None:
    memory = int(demo.sh("awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo"))
    cores = int(demo.sh("nproc"))
    shared = max(512, memory - 2560 - 256 * cores) // 4

    def ask(question: str) -> str:
        return demo.exec(["psql", "-U", "postgres", "-Atc", question, "ecs"]).stdout.strip()

    assert ask("show max_connections") == str(36 + 8 * cores)
    assert ask("select setting::int / 128 from pg_settings where name = 'shared_buffers'") == str(shared)
    assert ask("select extname from pg_extension where extname = 'pg_stat_statements'") == "pg_stat_statements"
    assert ask("select pg_get_userbyid(datdba) from pg_database where datname = 'ecs'") == "app"
    assert ask("select rolpassword like 'SCRAM-SHA-256%' from pg_authid where rolname = 'app'") == "t"
    assert demo.exec(["gosu", "app", "psql", "ecs", "-Atc", "select 1"]).stdout.strip() == "1"
    assert demo.exec(["gosu", "nobody", "psql", "-U", "app", "ecs", "-c", "select 1"]).returncode != 0


@pytest.fixture
def hook(demo: "Demo") -> Iterator[Callable[[str], None]]:
    """Yield a function that writes the hook before prepare-ecs; remove it and start the site afterwards."""
    path = "/app/etc/hooks/prepare-ecs.early/10-test.sh"

    def write(body: str) -> None:
        demo.machine.guest.push(path, f"#!/bin/sh\n{body}\n", mode=0o755)

    yield write
    demo.sh(f"rm {path}; systemctl start appliance", timeout=300)


def test_a_hook_runs_once_a_start(demo: "Demo", hook: Callable[[str], None]) -> None:
    hook("date >> /run/hook-seen")
    demo.sh("rm -f /run/hook-seen; systemctl restart appliance", timeout=300)
    assert len(demo.sh("cat /run/hook-seen").splitlines()) == 1


def test_a_hook_that_fails_stops_the_start_with_a_page_that_says_so(
    demo: "Demo", hook: Callable[[str], None], until: "Until"
) -> None:
    hook("echo no such luck; exit 3")
    assert demo.exec(["systemctl", "restart", "appliance"], timeout=400).returncode != 0
    answer = demo.get("/")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "This site is not available" in answer.text
    assert "10-test.sh failed" in demo.sh(f"cat {STATUS}")
    until(lambda: "systemctl restart appliance" in demo.sh(f"cat {STATUS}"), 30)
