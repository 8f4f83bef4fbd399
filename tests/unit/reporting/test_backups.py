"""What is recorded about backups survives a reboot, and is exported as metrics."""

from pathlib import Path

from ecs_appliance.core.paths import Paths
from ecs_appliance.reporting.backups import HELPS, Rehearsed, read_backups, update_backups


def test_what_is_known_stays_known_and_is_counted(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert read_backups(paths).samples() == []
    update_backups(paths, start=5.0, interval=900.0)
    update_backups(paths, failed=True)
    text = (paths.metrics / "appliance-backup.prom").read_text()
    assert "backup_last_start_time 5\n" in text
    assert "backup_last_failed 1\n" in text
    assert "backup_verified_snapshot_time" not in text
    read_backups(paths).rehearsed(paths, Rehearsed(ok=True, at=7.0, verified=6.0, rpo=900.0, rto=60.0))
    update_backups(paths, failed=False, success=5.0, nightly=5.0, duration=2.5, size=1, data_size=2, errors=0)
    samples = {sample.name: sample.value for sample in read_backups(paths).samples()}
    assert set(samples) == set(HELPS)
    assert (samples["backup_rto_seconds"], samples["backup_last_failed"]) == (60.0, 0.0)


def test_a_state_that_is_no_json_or_of_another_version_is_no_obstacle(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    (paths.state / "backup.json").write_text('{"success": 3.0, "of_tomorrow": 1}')
    assert read_backups(paths).success == 3.0
    (paths.state / "backup.json").write_text("{")
    assert read_backups(paths).success is None
