"""When the appliance gives up restarting."""

from pathlib import Path

from ecs_appliance.core.paths import Paths
from ecs_appliance.lifecycle import crashes


def test_it_gives_up_at_the_limit_and_counts_anew_afterwards(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for _ in range(crashes.LIMIT - 1):
        crashes.note_crash(paths)
    assert not crashes.too_many_crashes(paths)
    crashes.note_crash(paths)
    assert crashes.too_many_crashes(paths)
    crashes.forget_crashes(paths)
    assert not crashes.too_many_crashes(paths)


def test_old_crashes_do_not_count(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.run.mkdir(parents=True)
    (paths.run / "crashes").write_text(f"[{', '.join(['1.0'] * crashes.LIMIT)}]")
    assert not crashes.too_many_crashes(paths)
