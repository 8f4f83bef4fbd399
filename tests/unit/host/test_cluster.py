"""The cluster is created once, again after an interruption, and never over files that may contain a database."""

from pathlib import Path

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import CommandError
from ecs_appliance.host.cluster import CONFIGURATION, UNFINISHED, ensure_cluster, has_cluster
from tests.fakes import Answer, AnsweringRunner


def creating(paths: Paths, code: int = 0) -> AnsweringRunner:
    """Return a pg_createcluster that leaves complete files or, with a `code`, incomplete ones."""

    def answer(words: list[str]) -> Answer:
        assert words[0] == "pg_createcluster"
        (paths.cluster / "base").mkdir(parents=True, exist_ok=True)
        paths.at(CONFIGURATION).mkdir(parents=True, exist_ok=True)
        if code == 0:
            (paths.at(CONFIGURATION) / "postgresql.conf").write_text("")
        return code, "", "cut off"

    return AnsweringRunner(answer)


def refusing(words: list[str]) -> Answer:
    raise AssertionError(words)


def cut_off(paths: Paths) -> None:
    with pytest.raises(CommandError):
        ensure_cluster(paths, creating(paths, code=1))


def test_made_once(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert not has_cluster(paths)
    assert ensure_cluster(paths, creating(paths))
    assert has_cluster(paths)
    assert not ensure_cluster(paths, AnsweringRunner(refusing))


def test_one_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    cut_off(paths)
    (paths.cluster / "half").write_text("")
    (paths.at(CONFIGURATION) / "postgresql.conf").write_text("")
    assert not has_cluster(paths)
    assert ensure_cluster(paths, creating(paths))
    assert not (paths.cluster / "half").exists()
    assert has_cluster(paths)


def test_one_that_has_been_in_use_stays(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.at(UNFINISHED).parent.mkdir(parents=True)
    paths.at(UNFINISHED).write_text("")
    ensure_cluster(paths, creating(paths))
    paths.at(UNFINISHED).write_text("")  # killed just before its removal, and started at the next boot
    (paths.cluster / "postmaster.opts").write_text("")
    assert not ensure_cluster(paths, AnsweringRunner(refusing))


def test_files_of_a_database_are_kept_and_get_a_configuration(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.cluster.mkdir(parents=True)
    (paths.cluster / "PG_VERSION").write_text("17")
    assert ensure_cluster(paths, AnsweringRunner(refusing))
    assert has_cluster(paths)
    assert (paths.cluster / "PG_VERSION").read_text() == "17"
    assert "include_dir = 'conf.d'" in (paths.at(CONFIGURATION) / "postgresql.conf").read_text()
    assert not ensure_cluster(paths, AnsweringRunner(refusing))
