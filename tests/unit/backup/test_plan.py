"""Which backups are due, which are chosen, and whether there is enough space."""

from datetime import UTC, datetime, timedelta

import pytest

from ecs_appliance.backup.manifest import SnapshotManifest
from ecs_appliance.backup.plan import DAY, RESERVE, check_room, choose_snapshot, due_kind, find_gap
from ecs_appliance.backup.restore import plan_target
from ecs_appliance.core.errors import RefusedError
from ecs_appliance.host.pgbackrest import BackupKind, ClusterBackup
from ecs_appliance.host.restic import Policy, Snapshot

NOON = datetime(2030, 5, 17, 12, tzinfo=UTC)
NOW = NOON.timestamp()


def backup(kind: BackupKind, days: float) -> ClusterBackup:
    return ClusterBackup(f"{kind}-{days:g}", kind, NOW - days * DAY, "17-1", "0" * 24)


def snapshot(number: int) -> Snapshot:
    """Return a snapshot taken `number` hours after noon."""
    return Snapshot(f"{number}a{number}b" * 8, NOON + timedelta(hours=number), "ecs.example.org", (), ())


SNAPSHOTS = [snapshot(number) for number in range(3)]


@pytest.mark.parametrize(
    ("backups", "nightly", "due"),
    [
        ([], False, "full"),
        ([], True, "full"),
        ([backup("full", 1)], False, None),
        ([backup("full", 30)], False, None),
        ([backup("full", 1)], True, "diff"),
        ([backup("full", 0.1)], True, None),
        ([backup("full", 3), backup("diff", 0.2)], True, None),
        ([backup("full", 6.9), backup("diff", 1)], True, "full"),
        ([backup("diff", 1)], False, "full"),
    ],
)
def test_a_full_backup_comes_first_and_weekly_a_differential_one_nightly(
    backups: list[ClusterBackup], nightly: bool, due: BackupKind | None
) -> None:
    assert due_kind(backups, NOW, nightly=nightly) == due


def test_the_last_backup_is_chosen_unless_one_is_named() -> None:
    assert choose_snapshot(SNAPSHOTS) == SNAPSHOTS[2]
    assert choose_snapshot(SNAPSHOTS, wanted="1a1b1a1b") == SNAPSHOTS[1]


def at(*days: float) -> list[Snapshot]:
    """Return snapshots that are `days` old."""
    return [Snapshot("aa11", NOON - timedelta(days=ago), "ecs.example.org", (), ()) for ago in days]


def test_a_backup_of_the_future_is_the_last_only_where_there_is_no_other() -> None:
    made = at(3, 2, -400)
    assert choose_snapshot(made, now=NOON) == made[1]
    assert choose_snapshot(made[2:], now=NOON) == made[2]
    assert choose_snapshot(at(2, -0.5), now=NOON).time > NOON


@pytest.mark.parametrize(
    ("ago", "gap"),
    [
        ((), None),
        ((0,), None),
        ((90, 60, 30, 21, 14, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), None),
        ((3650, 3649, 3648, 0.2, 0.1, 0), 3647.8),
        ((30, 6, 5, 4, 3, 2, 1, 0), 24),
        ((30, 8, 6, 5, 4, 3, 2, 1, 0), None),
        ((3, 2, 1, 0, -400), None),
    ],
)
def test_a_hole_behind_the_newest_backups_is_found(ago: tuple[float, ...], gap: float | None) -> None:
    found = find_gap(at(*ago), 7, NOON)
    assert (found and found / timedelta(days=1)) == (gap and pytest.approx(gap))


def test_a_moment_is_known_to_the_first_backup_after_it() -> None:
    assert choose_snapshot(SNAPSHOTS, until=NOON + timedelta(minutes=30)) == SNAPSHOTS[1]
    assert choose_snapshot(SNAPSHOTS, until=NOON) == SNAPSHOTS[0]
    with pytest.raises(RefusedError, match="before that time"):
        choose_snapshot(SNAPSHOTS, until=NOON + timedelta(hours=3))


def test_what_is_not_there_or_not_one_is_refused() -> None:
    with pytest.raises(RefusedError, match="no backup"):
        choose_snapshot([])
    with pytest.raises(RefusedError, match="matches 0 backups"):
        choose_snapshot(SNAPSHOTS, wanted="ffff")
    twins = [SNAPSHOTS[0], SNAPSHOTS[0]]
    with pytest.raises(RefusedError, match="matches 2 backups"):
        choose_snapshot(twins, wanted="0a")


def test_the_reserve_is_never_used() -> None:
    check_room(5, RESERVE + 5, "/data")
    with pytest.raises(RefusedError, match=r"/data has 1\.0 GB free; 2\.0 GB are needed, plus 1\.0 GB"):
        check_room(2 * 10**9, RESERVE, "/data")


def test_a_policy_keeps_all_of_the_last_days_and_never_nothing() -> None:
    assert Policy(96, 35, 16, 24, 7).options() == [
        "--keep-last=96",
        "--keep-daily=35",
        "--keep-weekly=16",
        "--keep-monthly=24",
        "--keep-within=7d",
    ]
    assert Policy(0, 0, 0, 0, 0).options() == ["--keep-last=1", "--keep-within=1d"]


def test_a_recovery_ends_at_the_point_of_the_record_or_at_a_time_before_it() -> None:
    record = SnapshotManifest("ecs-1", "full-1", "ecs", NOW, 5, "abc", "ecs.example.org")
    backups = [backup("full", 3), backup("full", 1)]
    assert plan_target(record, backups, None) == ("full-1", ("--type=name", "--target=ecs-1"))
    assert plan_target(record, backups, NOON + timedelta(seconds=2)) == plan_target(record, backups, None)
    assert plan_target(record, backups, NOON - timedelta(days=2)) == (
        "full-3",
        ("--type=time", "--target=2030-05-15 12:00:00+00"),
    )
    with pytest.raises(RefusedError, match="no backup of the database is older"):
        plan_target(record, backups, NOON - timedelta(days=4))
