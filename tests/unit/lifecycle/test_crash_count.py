"""When the appliance gives up restarting."""

from pathlib import Path

from ecs_appliance.core.paths import Paths
from ecs_appliance.lifecycle import crash_count


def test_it_gives_up_at_the_limit_and_counts_anew_afterwards(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for _ in range(crash_count.LIMIT - 1):
        crash_count.note_crash(paths)
    assert not crash_count.too_many_crashes(paths)
    crash_count.note_crash(paths)
    assert crash_count.too_many_crashes(paths)
    crash_count.forget_crashes(paths)
    assert not crash_count.too_many_crashes(paths)


def test_old_crashes_do_not_count(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.run.mkdir(parents=True)
    (paths.run / "crashes").write_text(f"[{', '.join(['1.0'] * crash_count.LIMIT)}]")
    assert not crash_count.too_many_crashes(paths)
