"""What each check finds on simulated machines."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from ecs_appliance.checks import archive, backups, check, clock, latch, services, site, space, standby, units, updates
from ecs_appliance.checks.check import Machine
from ecs_appliance.checks.run import CHECKS, current_alerts, run_checks
from ecs_appliance.checks.space import Room
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.model import Env
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.latch import latch as set_latch
from ecs_appliance.reporting.alerts import Finding
from ecs_appliance.reporting.backups import update_backups
from tests.fakes import AnsweringRunner

Answer = Callable[[list[str]], tuple[int, str, str]]
HOUR, DAY = 3600, 86400
HEALTHY = "ActiveState=active\nResult=success\n"


def machine(root: Path, *, answer: Answer = lambda argv: (0, "", ""), env: bool = True) -> Machine:
    made = Machine(Context(Paths(root), AnsweringRunner(answer)))  # type: ignore[arg-type] # a runner of answers
    made.__dict__["env"] = Env() if env else None
    return made


def topics(findings: object) -> dict[str, str]:
    assert not isinstance(findings, Finding)
    return {each.topic: each.severity for each in findings}  # type: ignore[attr-defined]


def at(seen: Machine, now: float) -> Machine:
    later = replace(seen, now=now)
    later.__dict__["env"] = seen.env
    return later


def test_the_latch_is_named_with_its_reason_and_the_way_out(tmp_path: Path) -> None:
    assert list(latch.find(machine(tmp_path))) == []
    set_latch(Paths(tmp_path), "the migration failed")
    found = list(latch.find(machine(tmp_path)))
    assert "the migration failed" in found[0].message
    assert "rm /run/appliance-failed" in found[0].hint


@pytest.mark.parametrize("kind", ["standby", "no-database", "recovering", "stopped"])
def test_a_site_that_is_away_on_purpose_is_a_warning_and_no_outage(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "ask_as_visitor", lambda env: "the login page returns status 503")
    seen = machine(tmp_path)
    seen.context.page.show(kind, next_step="do this")  # type: ignore[arg-type]
    assert topics(standby.find(seen)) == {"standby": "warning"}
    assert topics(site.find(seen)) == {}


def test_a_site_that_does_not_answer_is_down_with_what_its_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = machine(tmp_path)
    monkeypatch.setattr(check, "ask_as_visitor", lambda env: "")
    assert list(site.find(seen)) == []
    monkeypatch.setattr(check, "ask_as_visitor", lambda env: "no answer on port 443")
    seen = machine(tmp_path)
    assert "no answer" in next(iter(site.find(seen))).message
    seen = machine(tmp_path)
    seen.context.page.fail("migration failed:\nIntegrityError: x", "go back")
    found = next(iter(site.find(seen)))
    assert (found.message, found.hint) == ("the site is down: migration failed: IntegrityError: x", "go back")


def test_a_start_is_an_outage_only_once_it_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "ask_as_visitor", lambda env: "the login page returns status 503")
    seen = machine(tmp_path)
    seen.context.page.show("starting")
    assert list(site.find(seen)) == []
    assert topics(site.find(at(seen, time.time() + site.START_SECONDS + 1))) == {"site": "critical"}


def test_before_there_is_an_environment_nothing_of_the_site_is_wrong(tmp_path: Path) -> None:
    seen = machine(tmp_path, env=False)
    for module in (site, services, backups):
        assert list(module.find(seen)) == []


def test_a_service_that_does_not_run_is_named_by_what_people_call_it(tmp_path: Path) -> None:
    stopped = "ActiveState=inactive\nResult=success\n"
    answers = "\n".join([HEALTHY, stopped, HEALTHY])
    found = list(services.find(machine(tmp_path, answer=lambda argv: (0, answers, ""))))
    assert [each.message for each in found] == ["PostgreSQL is not running"]
    assert "systemctl start postgresql@17-main.service" in found[0].hint


def test_a_failed_unit_is_named_and_what_it_said_itself_is_kept(tmp_path: Path) -> None:
    def answer(argv: list[str]) -> tuple[int, str, str]:
        if argv[1] == "list-units":
            return 0, "fstrim.service loaded failed failed Discard\nprepare-ecs.service loaded failed failed x\n", ""
        return 0, "ActiveState=failed\nResult=exit-code\n", ""

    seen = machine(tmp_path, answer=answer)
    seen.context.alerts.put("unit:prepare-ecs.service", "critical", "prepare-ecs: it said why", "do this")
    found = {each.topic: each.message for each in units.find(seen)}
    assert found == {
        "unit:prepare-ecs.service": "prepare-ecs: it said why",
        "unit:fstrim.service": "fstrim.service failed",
    }


@pytest.mark.parametrize(
    ("state", "result", "stays"),
    [
        ("active", "success", False),
        ("inactive", "success", False),
        ("activating", "exit-code", True),
        ("inactive", "exit-code", True),
        ("failed", "timeout", True),
    ],
)
def test_what_a_unit_said_stays_until_it_is_well(tmp_path: Path, state: str, result: str, *, stays: bool) -> None:
    def answer(argv: list[str]) -> tuple[int, str, str]:
        return (0, "", "") if argv[1] == "list-units" else (0, f"ActiveState={state}\nResult={result}\n", "")

    seen = machine(tmp_path, answer=answer)
    seen.context.alerts.put("unit:appliance.service", "critical", "appliance: why", "do this")
    assert bool(list(units.find(seen))) == stays


@pytest.mark.parametrize(
    ("room", "found"),
    [
        (Room(84.9, 0, space.GB), {}),
        (Room(85, 0, space.GB), {"space:/": "warning"}),
        (Room(95, 0, space.GB), {"space:/": "critical"}),
        (Room(96, 0, 51 * space.GB), {}),
        (Room(10, 86, space.GB), {"inodes:/": "warning"}),
        (Room(99, 99, 0), {"space:/": "critical", "inodes:/": "critical"}),
    ],
)
def test_a_full_disk_is_a_matter_of_bytes_and_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: Room, found: dict[str, str]
) -> None:
    monkeypatch.setattr(space, "read_rooms", lambda paths: {"/": room})
    assert topics(space.find(machine(tmp_path))) == found


def test_places_on_one_file_system_are_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rooms = space.read_rooms(Paths(tmp_path))
    assert list(rooms) == ["/"]
    assert 0 <= rooms["/"].used <= 100


def clock_machine(root: Path, *, uptime: float) -> Machine:
    for file, text in ((clock.TIMESYNCD, ""), ("/proc/uptime", f"{uptime} 1.0\n"), ("/proc/meminfo", "MemTotal: 1 kB")):
        path = Paths(root).at(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return machine(root)


def test_a_clock_that_no_server_has_set_is_told_some_time_after_the_boot(tmp_path: Path) -> None:
    assert list(clock.find(clock_machine(tmp_path, uptime=60))) == []
    seen = clock_machine(tmp_path, uptime=3600)
    assert topics(clock.find(seen)) == {"clock": "warning"}
    Paths(tmp_path).at(clock.SYNCHRONIZED).parent.mkdir(parents=True)
    Paths(tmp_path).at(clock.SYNCHRONIZED).touch()
    assert list(clock.find(seen)) == []


def test_updates_that_stay_away_are_told_after_three_days(tmp_path: Path) -> None:
    clock_machine(tmp_path, uptime=1)
    seen = machine(tmp_path)
    assert list(updates.find(seen)) == []
    seen.context.tags.set("last_update", datetime.fromtimestamp(1_000_000).astimezone().isoformat())
    assert topics(updates.find(at(seen, 1_000_000 + 3 * DAY))) == {}
    assert topics(updates.find(at(seen, 1_000_000 + 3 * DAY + 1))) == {"updates": "warning"}
    seen.context.tags.set("last_update", "garbage")
    assert list(updates.find(seen)) == []


@pytest.mark.parametrize(
    ("installed", "waits"),
    [
        (["6.12.9+deb13-amd64"], None),
        (["6.12.9+deb13-amd64", "6.12.10+deb13-amd64"], "6.12.10+deb13-amd64"),
        (["6.12.8+deb13-amd64", "6.12.9+deb13-amd64"], None),
        ([], None),
        # The running kernel is not installed: it belongs to the host.
        (["6.12.10+deb13-amd64"], None),
    ],
)
def test_a_newer_kernel_waits_for_a_reboot(tmp_path: Path, installed: list[str], waits: str | None) -> None:
    clock_machine(tmp_path, uptime=1)
    (tmp_path / "boot").mkdir()
    for release in installed:
        (tmp_path / f"boot/vmlinuz-{release}").touch()
    assert updates.waiting_kernel(Paths(tmp_path), "6.12.9+deb13-amd64") == waits


@pytest.mark.parametrize(
    ("age", "found"),
    [(HOUR, {}), (2 * HOUR, {}), (3 * HOUR, {"backup-missed": "warning"}), (33 * HOUR, {"backup-missed": "critical"})],
)
def test_a_backup_that_is_late_is_told_whatever_kept_it(tmp_path: Path, age: float, found: dict[str, str]) -> None:
    seen = machine(tmp_path)
    update_backups(seen.paths, success=1_000_000.0)
    assert topics(backups.find(at(seen, 1_000_000 + age))).items() - {("backup-place", "warning")} == found.items()


def test_a_log_that_is_not_archived_is_told_after_a_while(tmp_path: Path) -> None:
    seen = machine(tmp_path)
    assert list(archive.find(seen)) == []
    folder = seen.paths.cluster / "pg_wal/archive_status"
    folder.mkdir(parents=True)
    for name in ("000000010000000000000012.done", "000000010000000000000013.ready", "000000010000000000000014.ready"):
        (folder / name).touch()
        os.utime(folder / name, (1_000_000, 1_000_000))
    assert topics(archive.find(at(seen, 1_000_600))) == {}
    found = list(archive.find(at(seen, 1_000_601)))
    assert [each.severity for each in found] == ["critical"]
    assert "2 segments" in found[0].message


def test_backups_that_nobody_checks_or_proves_are_told(tmp_path: Path) -> None:
    seen = machine(tmp_path)
    now = time.time()
    update_backups(seen.paths, success=now, nightly=now - 4 * DAY, verified=now - 16 * DAY)
    assert topics(backups.find(at(seen, now))) == {
        "backup-nightly-missed": "warning",
        "backup-unverified": "warning",
        "backup-place": "warning",
    }


def test_backups_of_the_template_lie_on_the_machine_itself(tmp_path: Path) -> None:
    assert topics(backups.find(machine(tmp_path))) == {"backup-place": "warning"}
    away = machine(tmp_path)
    away.__dict__["env"] = Env.model_validate({"appliance": {"backup": {"url": "sftp://backup@host/x"}}})
    assert topics(backups.find(away)) == {}


def test_a_check_that_fails_is_an_alert_and_the_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Machine) -> list[Finding]:
        raise OSError(5, os.strerror(5), "/data")

    for name, module in CHECKS.items():
        monkeypatch.setattr(module, "find", broken if name == "clock" else lambda machine: [])
    seen = machine(tmp_path)
    seen.context.alerts.put("clock", "warning", "of before")
    seen.context.alerts.put("latch", "critical", "of before")
    assert [alert.topic for alert in current_alerts(seen)] == ["clock", "check:clock"]
    assert [alert.topic for alert in seen.context.alerts.standing()] == ["latch", "clock"]
    run_checks(seen)
    standing = {alert.topic: alert.message for alert in seen.context.alerts.standing()}
    assert standing == {"clock": "of before", "check:clock": "the check of clock failed: /data: Input/output error"}
    monkeypatch.setattr(clock, "find", lambda machine: [])
    run_checks(seen)
    assert seen.context.alerts.standing() == []
