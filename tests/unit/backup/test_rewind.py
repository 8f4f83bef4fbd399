"""How far back the database can be rewound, and which times are no longer reachable."""

from pathlib import Path

import pytest

from ecs_appliance.backup.progress import AbandonedTimeline, Rewind, is_unfinished, read_abandoned, rewind_file
from ecs_appliance.backup.rewind import clear_preview, plan_rewind, record_abandoned, time_target
from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.locks import locked
from ecs_appliance.core.paths import Paths
from ecs_appliance.host.pgbackrest import ClusterBackup
from tests.fakes import AnsweringRunner

HOUR = 3600.0
NOW = 1_900_000_000.0
BACKUPS = [
    ClusterBackup(label, "full", NOW - hours * HOUR, "17-1", "0" * 24) for label, hours in (("old", 20), ("new", 2))
]
LEFT = [AbandonedTimeline(NOW - 6 * HOUR, NOW - 4 * HOUR, "/data/postgresql/17/main.before-1")]


@pytest.mark.parametrize(("hours", "label"), [(19, "old"), (3, "old"), (1, "new")])
def test_the_last_backup_before_the_moment_is_where_it_starts_from(hours: float, label: str) -> None:
    assert plan_rewind(BACKUPS, LEFT, NOW - hours * HOUR, NOW).label == label


@pytest.mark.parametrize(
    ("hours", "reason"),
    [
        (-1, "is in the future"),
        (0, "is in the future"),
        (21, "the earliest is"),
        (5, "is in a period that was abandoned by a rewind to .*"),
    ],
)
def test_what_cannot_be_reached_is_refused(hours: float, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        plan_rewind(BACKUPS, LEFT, NOW - hours * HOUR, NOW)
    with pytest.raises(RefusedError, match="there are none yet"):
        plan_rewind([], [], NOW - HOUR, NOW)


def test_a_rewind_is_remembered_until_its_end(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    file = rewind_file(paths)
    assert (file.read(), read_abandoned(paths), is_unfinished(paths)) == (None, [], False)
    state = Rewind(NOW - HOUR, "new", "aside", NOW, kept="/kept", timeline=1)
    file.write(state)
    assert is_unfinished(paths)
    state = file.go_on(state, lambda each: each, lambda each: each)
    assert (file.read(), state.phase, is_unfinished(paths)) == (state, "start", False)
    file.clear()
    assert file.read() is None


def test_a_history_that_was_left_is_noted_once(tmp_path: Path) -> None:
    paths, state = Paths(tmp_path), Rewind(NOW - HOUR, "new", "database", NOW, kept="/kept", timeline=1)
    record_abandoned(paths, state, NOW)
    # Interrupted and repeated, it is recorded only once.
    record_abandoned(paths, state, NOW + 9)
    assert read_abandoned(paths) == [AbandonedTimeline(NOW - HOUR, NOW + 9, "/kept")]


def test_what_a_look_left_is_removed_and_one_that_goes_on_is_not(tmp_path: Path) -> None:
    paths, runner = Paths(tmp_path), AnsweringRunner(lambda _: (0, "", ""))
    folder = paths.data / ".rewind"
    (folder / "cluster").mkdir(parents=True)
    with locked(paths.backup_lock, "a look"):
        clear_preview(paths, runner)
        assert folder.exists()
    clear_preview(paths, runner)
    assert not folder.exists()


def test_a_moment_is_told_to_the_microsecond_in_utc() -> None:
    assert time_target(0.25) == ("--type=time", "--target=1970-01-01 00:00:00.250000+00")
