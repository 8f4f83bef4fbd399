"""Which of nginx's processes accept new connections."""

from pathlib import Path

import pytest

from ecs_appliance.host import nginx
from tests.fakes import AnsweringRunner

TITLES = {
    11: b"nginx: worker process\0\0\0   ",
    12: b"nginx: worker process is shutting down\0",
    13: b"nginx: cache manager process\0",
}


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a /proc in which 7 is nginx's master process."""
    monkeypatch.setattr(nginx, "PROC", tmp_path)
    children = tmp_path / "7" / "task" / "7" / "children"
    children.parent.mkdir(parents=True)
    children.write_text("11 12 13 14 ")
    for pid, title in TITLES.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_bytes(title)
    return tmp_path


@pytest.mark.usefixtures("proc")
def test_old_and_gone_workers_do_not_count() -> None:
    assert nginx.serving_workers(AnsweringRunner(lambda _: (0, "MainPID=7\n", ""))) == {11}


@pytest.mark.usefixtures("proc")
@pytest.mark.parametrize("told", ["MainPID=0\n", "MainPID=8\n", ""])
def test_without_nginx_there_are_none(told: str) -> None:
    assert nginx.serving_workers(AnsweringRunner(lambda _: (0, told, ""))) == frozenset()
