"""One lock, held by one process, never stale."""

from pathlib import Path

import pytest

from ecs_appliance.core.errors import BusyError, ExitCode
from ecs_appliance.core.locks import locked


def test_a_held_lock_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, "backup"), pytest.raises(BusyError, match="is running: backup") as caught, locked(path, "update"):
        pass
    assert caught.value.exit_code == ExitCode.BUSY


def test_the_lock_file_of_a_dead_process_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text('{"pid": 999999, "purpose": "backup"}')
    with locked(path, "update"):
        assert "update" in path.read_text()
    assert path.read_text() == ""


def test_an_error_inside_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(RuntimeError), locked(path, "backup"):
        raise RuntimeError
    with locked(path, "update"):
        pass
