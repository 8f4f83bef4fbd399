"""Removing either of the two names that operators know releases the latch."""

from pathlib import Path

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.lifecycle.latch import latch, latched


@pytest.mark.parametrize("name", ["appliance-failed", "appliance_failed"])
def test_either_name_unlatches(tmp_path: Path, name: str) -> None:
    paths = Paths(tmp_path)
    assert not latched(paths)
    latch(paths, "the reason")
    assert latched(paths)
    assert (tmp_path / "run/appliance-failed").read_text() == "the reason\n"
    (tmp_path / "run" / name).unlink()
    assert not latched(paths)
    latch(paths, "again")
    assert latched(paths)
