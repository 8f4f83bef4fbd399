"""Which images are built, and which are not."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecs_appliance.app.base import is_stale
from ecs_appliance.app.images import DOCS_LABEL, app_tag, own_tag, plan_app_build, plan_own_builds
from ecs_appliance.app.source import Sources
from ecs_appliance.host.docker import Build
from ecs_appliance.host.git import Commit

APP, DOCS = "a" * 40, "d" * 40
SOURCES = Sources(Commit(APP, "master"), Commit(DOCS, "master"))


def test_missing_image_is_built() -> None:
    build = plan_app_build(SOURCES, labels=None, proxy="http://proxy:3128")
    assert build == Build(
        None,
        (f"ecs/ecs:{APP}",),
        {"GIT_REV": APP, "GIT_BRANCH": "master", "http_proxy": "http://proxy:3128"},
        {DOCS_LABEL: DOCS},
    )


def test_present_image_is_not_built_again() -> None:
    assert plan_app_build(SOURCES, labels={DOCS_LABEL: DOCS}, proxy=None) is None


def test_new_manual_or_force_builds_again() -> None:
    assert plan_app_build(SOURCES, labels={DOCS_LABEL: "e" * 40}, proxy=None) is not None
    assert plan_app_build(SOURCES, labels={}, proxy=None) is not None
    assert plan_app_build(SOURCES, labels={DOCS_LABEL: DOCS}, proxy=None, force=True) is not None
    assert plan_app_build(Sources(SOURCES.app, None), labels={}, proxy=None) is None


def test_pinned_commit_says_so() -> None:
    build = plan_app_build(Sources(Commit(APP), None), labels=None, proxy=None)
    assert build is not None
    assert build.args == {"GIT_REV": APP, "GIT_BRANCH": "pinned"}
    assert build.tags == (app_tag(APP),)


@pytest.fixture
def redis(tmp_path: Path) -> Path:
    folder = tmp_path / "redis"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM debian:trixie-slim\n")
    return folder


def test_own_image_is_named_by_what_it_is_made_of(redis: Path) -> None:
    name = own_tag(redis, "sha256:base")
    assert name.startswith("ecs/redis:")
    assert own_tag(redis, "sha256:base") == name
    assert own_tag(redis, "sha256:newer") != name
    (redis / "redis.conf").write_text("save 60 1\n")
    assert own_tag(redis, "sha256:base") != name


def test_own_image_is_built_only_where_missing(redis: Path) -> None:
    name = own_tag(redis, "sha256:base")
    assert plan_own_builds([redis], "sha256:base", [], None) == [Build(redis, (name,), {})]
    assert plan_own_builds([redis], "sha256:base", [name], None) == []


def test_base_image_older_than_a_week_is_stale() -> None:
    now = datetime(2026, 3, 10, tzinfo=UTC)
    assert is_stale("2026-03-02T23:00:00.123456789Z", now)
    assert not is_stale("2026-03-04T00:00:00Z", now)
