"""The settings that containers receive."""

import hashlib
from pathlib import Path

import pytest

from ecs_appliance.app import settings
from ecs_appliance.app.settings import AppSettings
from ecs_appliance.core.errors import ApplianceError

TRICKY = 'A = \'it\'\'s $HOME ${X} {}\' # ümlaut\nB = """two\nlines"""\n'
SITE = AppSettings("postgres://app:pw@172.17.0.1:5432/ecs", TRICKY)


def test_userswitcher_is_never_unset() -> None:
    assert settings.once_environment(SITE)["ECS_USERSWITCHER_ENABLED"] == "false"
    switched = AppSettings(SITE.database_url, "", userswitcher=True, userswitcher_parameter="-it")
    assert settings.once_environment(switched)["ECS_USERSWITCHER_ENABLED"] == "true"
    assert settings.once_environment(switched)["ECS_USERSWITCHER_PARAMETER"] == "-it"


def test_settings_arrive_as_they_are() -> None:
    assert settings.once_environment(SITE)["ECS_SETTINGS"] == TRICKY


def test_settings_that_no_process_can_be_given_are_refused() -> None:
    with pytest.raises(ApplianceError, match=r"ecs\.settings"):
        settings.once_environment(AppSettings("", "x" * 131072))
    settings.once_environment(AppSettings("", "x" * (131071 - len("ECS_SETTINGS="))))


def test_container_that_runs_once_needs_no_services() -> None:
    names = settings.once_environment(SITE).keys()
    assert {"DATABASE_URL", "ECS_SETTINGS", "SMTP_URL", "ECS_USERSWITCHER_ENABLED"} <= names
    assert not {"REDIS_URL", "MEMCACHED_URL"} & names


def test_each_service_has_a_file_of_its_own_so_that_containers_get_those_of_their_task(tmp_path: Path) -> None:
    (tmp_path / "service_urls.env").write_text("what an earlier release left")
    assert set(settings.ensure_service_files(tmp_path)) == set(settings.plan_service_files(tmp_path))
    password = settings.read_password(tmp_path / "redis_url.env", "REDIS_URL")
    assert password
    assert {file.name: file.read_text() for file in tmp_path.glob("*.env")} == {
        "redis_url.env": f"REDIS_URL=redis://:{password}@ecs_redis_1:6379/0\n",
        "memcached_url.env": "MEMCACHED_URL=memcached://ecs_memcached_1:11211\n",
        "smtp_url.env": "SMTP_URL=smtp://172.17.0.1:25\n",
    }
    assert (tmp_path / "redis_url.env").stat().st_mode & 0o777 == 0o600
    assert settings.ensure_service_files(tmp_path) == []


def test_the_queue_itself_knows_its_password_by_a_digest_only(tmp_path: Path) -> None:
    settings.ensure_service_files(tmp_path)
    password = settings.read_password(tmp_path / "redis_url.env", "REDIS_URL")
    rules, acl = (tmp_path / "redis.acl").read_text().splitlines(), tmp_path / "redis.acl"
    assert acl.stat().st_mode & 0o777 == 0o644
    assert password
    assert password not in acl.read_text()
    assert rules[0].split()[:4] == ["user", "default", "on", "#" + hashlib.sha256(password.encode()).hexdigest()]
    assert rules[0].index("+@write") < rules[0].index("-@dangerous")
    assert rules[1].split()[:2] == ["user", "health"]
    assert rules[1].endswith("-@all +ping")


def test_password_is_made_once_and_kept(tmp_path: Path) -> None:
    first = settings.ensure_database_url(tmp_path, "ecs")
    file = tmp_path / "database_url.env"
    assert first.startswith("postgres://app:")
    assert first.endswith("@172.17.0.1:5432/ecs")
    assert file.read_text() == f"DATABASE_URL={first}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert settings.ensure_database_url(tmp_path, "ecs") == first
    other = settings.ensure_database_url(tmp_path, "other")
    assert other == first.removesuffix("ecs") + "other"
    assert settings.read_password(file) == first.split(":")[2].split("@")[0]


def test_two_machines_have_two_passwords(tmp_path: Path) -> None:
    assert settings.ensure_database_url(tmp_path / "a", "ecs") != settings.ensure_database_url(tmp_path / "b", "ecs")


@pytest.mark.parametrize(
    "text", ["", "DATABASE_URL=\n", "DATABASE_URL=postgres://app@host/ecs\n", "OTHER=postgres://a:b@c/d"]
)
def test_damaged_file_is_told_not_replaced(tmp_path: Path, text: str) -> None:
    file = tmp_path / "database_url.env"
    file.write_text(text)
    with pytest.raises(ApplianceError, match=r"database_url\.env"):
        settings.ensure_database_url(tmp_path, "ecs")
    assert file.read_text() == text


def test_secrets_are_not_shown() -> None:
    assert "pw" not in repr(SITE)
