"""Evaluate the alert rules over weeks of a site's metrics, using Prometheus' promtool: what is reported, and when."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ecs_appliance.core.runner import Result, SystemRunner

RULES = Path(__file__).parents[3] / "salt/states/metrics/files/rules"
SITE = "www.example.org"
QUARTER, HALF_DAY = 15, 720
QUARTERS_A_DAY = 96
SECONDS = 120


@dataclass(frozen=True)
class Case:
    """`series` are values every `step` minutes; after `hours` the rule `alert` has this `summary` (empty: no alert)."""

    alert: str
    series: dict[str, str]
    hours: float
    summary: str
    step: int = QUARTER


def going(days: float, step: int = QUARTER) -> str:
    """Return a timestamp series that follows the clock for `days`."""
    return f"0+{step * 60}x{round(days * 1440 / step)}"


def standing(days: float, more: float, step: int = QUARTER) -> str:
    """Return a timestamp series that follows the clock for `days`, and then stays the same for `more` days."""
    return f"{going(days, step)} {round(days * 86400)}+0x{round(more * 1440 / step)}"


INTERVAL = {"backup_interval_seconds": "900+0x9999"}
STOPS = {"backup_last_success_time": standing(1, 3), **INTERVAL}
CASES = [
    Case("BackupMissed", STOPS, 24 + 31, ""),
    Case("BackupMissed", STOPS, 24 + 33, "The last backup is 1d 9h 0m 0s old"),
    Case("BackupUnknown", {"backup_interval_seconds": "900+0x400"}, 31, ""),
    Case("BackupUnknown", {"up": "1+0x400"}, 33, "No backup has been reported for 32 hours"),
    Case("BackupUnknown", STOPS, 33, ""),
    Case("BackupLate", STOPS, 24, ""),
    Case("BackupLate", STOPS, 24 + 1.25, ""),
    Case("BackupLate", STOPS, 24 + 2, "The last backup is 2h 0m 0s old, several were due since"),
    Case("BackupFailed", {"backup_last_failed": "0x9 1x4 0x20"}, 3.25, ""),
    Case("BackupFailed", {"backup_last_failed": "0x9 1x40"}, 5, "No backup has succeeded for two hours"),
    Case("BackupSlow", {"backup_last_duration": "20x5 1200x5 20x50", **INTERVAL}, 8, ""),
    Case(
        "BackupSlow",
        {"backup_last_duration": "1200+0x50", **INTERVAL},
        7,
        "A backup takes 20m 0s, longer than the time between two",
    ),
    Case("BackupShrunk", {"backup_last_data_size": f"8e9+1e6x{2 * QUARTERS_A_DAY}"}, 30, ""),
    Case(
        "BackupShrunk",
        {"backup_last_data_size": f"8589934592x{QUARTERS_A_DAY + 9} 4294967296x{QUARTERS_A_DAY}"},
        30,
        "The last backup contains 4GiB, much less than a day before",
    ),
    Case("BackupDamaged", {"backup_repository_errors": "0x9"}, 1, ""),
    Case("BackupDamaged", {"backup_repository_errors": "0x4 3x9"}, 2, "3 files of the backups are damaged"),
    Case("RehearsalFailed", {"backup_rehearsal_success": "1x9"}, 1, ""),
    Case(
        "RehearsalFailed",
        {"backup_rehearsal_success": "1x4 0x9"},
        2,
        "The last rehearsal of a recovery did not succeed",
    ),
    Case("RehearsalMissed", {"backup_rehearsal_last_time": standing(0, 20, HALF_DAY)}, 14 * 24, "", HALF_DAY),
    Case(
        "RehearsalMissed",
        {"backup_rehearsal_last_time": standing(0, 20, HALF_DAY)},
        16 * 24,
        "No recovery was rehearsed for 16d 0h 0m 0s",
        HALF_DAY,
    ),
    Case("BackupUnverified", {"backup_verified_snapshot_time": standing(0, 40, HALF_DAY)}, 29 * 24, "", HALF_DAY),
    Case(
        "BackupUnverified",
        {"backup_verified_snapshot_time": standing(0, 40, HALF_DAY)},
        31 * 24,
        "The newest backup that is proven to be recoverable is 31d 0h 0m 0s old",
        HALF_DAY,
    ),
    Case("BackupNeverVerified", {"backup_last_success_time": going(20, HALF_DAY)}, 8 * 24, "", HALF_DAY),
    Case(
        "BackupNeverVerified",
        {"backup_last_success_time": going(20, HALF_DAY)},
        10 * 24,
        "No backup was ever proven to be recoverable",
        HALF_DAY,
    ),
    Case(
        "BackupNeverVerified",
        {"backup_last_success_time": going(20, HALF_DAY), "backup_verified_snapshot_time": standing(5, 15, HALF_DAY)},
        15 * 24,
        "",
        HALF_DAY,
    ),
]


def rules() -> dict[str, dict[str, dict[str, str]]]:
    """Return all rules by name."""
    read = YAML(typ="safe").load
    groups = [group for file in RULES.glob("*.yml") for group in read(file)["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_promtool_accepts_the_rules() -> None:
    checked = SystemRunner().run(["promtool", "check", "rules", *sorted(RULES.glob("*.yml"))], timeout=SECONDS)
    assert f"{len(rules())} rules found" in checked.stdout


def test_each_rule_is_seen_to_speak_and_to_be_silent() -> None:
    assert {case.alert for case in CASES if case.summary} == set(rules())
    assert {case.alert for case in CASES if not case.summary} == set(rules())


def as_promtool_wants(case: Case) -> dict[str, object]:
    """Return `case` as a promtool test."""
    rule = rules()[case.alert]
    # If the metric is absent, there is no series whose labels the alert could have.
    labels = rule["labels"] | ({} if "absent" in rule["expr"] else {"instance": SITE})
    told = {"exp_labels": labels, "exp_annotations": rule["annotations"] | {"summary": case.summary}}
    moment = {"alertname": case.alert, "eval_time": f"{case.hours * 60:g}m"}
    series = [{"series": f'{name}{{instance="{SITE}"}}', "values": values} for name, values in case.series.items()]
    return {
        "name": f"{case.alert} after {case.hours:g} hours",
        "interval": f"{case.step}m",
        "input_series": series,
        "alert_rule_test": [moment | {"exp_alerts": [told] if case.summary else []}],
    }


def judged(cases: Sequence[Case], folder: Path, step: int = QUARTER) -> Result:
    """Return promtool's verdict on `cases`, evaluating the rules every `step` minutes."""
    written = folder / "test.json"
    files = [str(file) for file in RULES.glob("*.yml")]
    tests = list(map(as_promtool_wants, cases))
    written.write_text(json.dumps({"rule_files": files, "evaluation_interval": f"{step}m", "tests": tests}))
    return SystemRunner().run(["promtool", "test", "rules", written], timeout=SECONDS, ok=range(256))


@pytest.mark.parametrize("step", [QUARTER, HALF_DAY])
def test_the_rules_speak_when_they_should(step: int, tmp_path: Path) -> None:
    done = judged([case for case in CASES if case.step == step], tmp_path, step)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", [CASES[0], CASES[1]], ids=["silent", "speaks"])
def test_promtool_would_notice_the_contrary(case: Case, tmp_path: Path) -> None:
    assert judged([replace(case, summary="" if case.summary else "of something")], tmp_path).returncode != 0
