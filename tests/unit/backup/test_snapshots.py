"""The timeline that a recovery to a point in time follows, and which times a snapshot does not cover."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecs_appliance.backup.manifest import SnapshotManifest
from ecs_appliance.backup.restore import plan_target
from ecs_appliance.backup.run import Installation, lacks_log
from ecs_appliance.backup.snapshots import Snapshots
from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.model import Env
from ecs_appliance.host.pgbackrest import ClusterBackup
from ecs_appliance.host.restic import Repository
from tests.fakes import AnsweringRunner

NOW = datetime(2030, 5, 17, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD = ClusterBackup("old", "full", (NOW - 20 * HOUR).timestamp(), "17-1", "0000000100000000000000F0")


def record(timeline: int) -> SnapshotManifest:
    return SnapshotManifest("point", "new", "ecs", NOW.timestamp(), 3, "commit", "ecs.example.org", timeline=timeline)


def machine(root: Path) -> Installation:
    return Installation(Paths(root), AnsweringRunner(lambda _: (0, "[]", "")), Env.model_construct())


def test_a_time_is_looked_for_in_the_history_of_its_snapshot_alone() -> None:
    """An interrupted attempt has created another timeline, which has no commit after that time."""
    label, options = plan_target(record(3), [OLD], NOW - HOUR)
    assert (label, options[0], options[-1]) == ("old", "--type=time", "--target-timeline=3")
    # Snapshots that do not record it yet have to use the latest timeline.
    assert plan_target(record(0), [OLD], NOW - HOUR)[1] == options[:-1]
    assert plan_target(record(3), [OLD], None) == ("new", ("--type=name", "--target=point"))


def test_a_time_that_a_rewind_has_left_is_refused(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    record(2).save(paths)
    left = {"since": (NOW - 3 * HOUR).timestamp(), "until": (NOW - HOUR).timestamp(), "kept": "/kept"}
    paths.rewinds.write_text(json.dumps([left]))
    repository = Repository(AnsweringRunner(lambda _: (0, "", "")), "/target", "there", "word", tmp_path)
    source = Snapshots(machine(tmp_path), repository)
    with pytest.raises(RefusedError, match="a rewind abandoned"):
        source.restore_database("aa11", NOW - 2 * HOUR)
    assert source.taken("aa11", NOW - 4 * HOUR) == NOW - 4 * HOUR
    assert source.taken("aa11", NOW + HOUR) == source.taken("aa11", None) == NOW


def test_a_log_that_ends_before_the_backup_is_of_another_server(tmp_path: Path) -> None:
    folder = tmp_path / "data/pgbackrest/archive/ecs/17-1/0000000100000000"
    folder.mkdir(parents=True)
    for segment in ("F0", "F1"):
        (folder / f"0000000100000000000000{segment}-{'a' * 40}.zst").touch()
    assert not lacks_log(machine(tmp_path), OLD, "0000000200000000000000F1")
    assert lacks_log(machine(tmp_path), OLD, "000000020000000000000003")
