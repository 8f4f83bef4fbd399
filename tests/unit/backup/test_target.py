"""Where backups are stored, and which places are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from ecs_appliance.backup.target import OLD_ARCHIVE, claim, connected, find_repository
from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.model import Backup
from ecs_appliance.host.restic import Repository
from tests.authorities import Authority, pem
from tests.fakes import Answer, AnsweringRunner

SNAPSHOT = '[{"id": "aa11", "time": "2030-05-17T12:00:00.123456789+02:00", "hostname": "ecs", "paths": ["/data"]}]'
CA = pem(Authority("of a server").certificate)
PASSWORD = "correct horse battery staple"  # protects nothing


class Place:
    """A repository with restic's answers about it; an empty `id` means that there is none."""

    def __init__(self, folder: Path, *, id: str = "", snapshots: str = "[]", code: int = 10) -> None:  # noqa: A002
        self.id, self.snapshots, self.code = id, snapshots, code
        self.runner = AnsweringRunner(self.answer)
        self.repository = Repository(self.runner, str(folder), f"file://{folder}", PASSWORD, folder / "cache")

    def answer(self, argv: list[str]) -> Answer:
        if "init" in argv:
            self.id = "made"
        if "cat" in argv:
            return (0, f'{{"id": "{self.id}"}}', "") if self.id else (self.code, "", "")
        return 0, self.snapshots if "snapshots" in argv else "", ""


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Place]:
    (tmp_path / "target").mkdir()
    return lambda **known: Place(tmp_path / "target", **known)


def test_what_opens_a_target_lies_in_files_of_roots_for_as_long_as_it_is_used(tmp_path: Path) -> None:
    backup = Backup(url=SecretStr("rest:https://user:word@host/folder"), authority=CA, password=SecretStr(PASSWORD))
    paths, runner = Paths(tmp_path), Place(tmp_path).runner
    with connected(paths, runner, backup) as repository:
        assert repository.file is not None
        assert repository.file.read_text() == "rest:https://user:word@host/folder"
        assert repository.file.stat().st_mode & 0o777 == 0o600
        assert repository.file.with_name("authority.pem").read_text().strip() == CA.strip()
        assert "word" not in repository.location + repository.shown + " ".join(repository.options)
    assert list(paths.run.iterdir()) == []


def test_an_empty_folder_becomes_a_repository_that_is_remembered(make: Callable[..., Place], tmp_path: Path) -> None:
    place, paths = make(), Paths(tmp_path)
    assert claim(paths, place.repository)
    assert paths.backup_repository.read_text() == "made\n"
    assert not claim(paths, place.repository)


def test_a_repository_that_was_cut_off_while_it_was_made_is_made_anew(
    make: Callable[..., Place], tmp_path: Path
) -> None:
    for name in ("data/00", "keys", "lost+found"):
        (tmp_path / "target" / name).mkdir(parents=True)
    key = tmp_path / "target/keys" / ("a1" * 32)
    key.touch()
    assert claim(Paths(tmp_path), make().repository)
    assert not key.exists()


@pytest.mark.parametrize("name", ["config", "data/00/bb22", "keys/of-the-house", f"others/keys/{'a1' * 32}"])
def test_one_that_lost_what_it_begins_with_is_not(make: Callable[..., Place], tmp_path: Path, name: str) -> None:
    file = tmp_path / "target" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    with pytest.raises(RefusedError, match="contains files, but no backups"):
        claim(Paths(tmp_path), make().repository)
    assert file.exists()


def test_no_folder_and_one_of_others_are_refused(make: Callable[..., Place], tmp_path: Path) -> None:
    place = make()
    (tmp_path / "target/photo.jpg").touch()
    with pytest.raises(RefusedError, match="contains files, but no backups"):
        find_repository(place.repository)
    with pytest.raises(RefusedError, match="there is no folder"):
        find_repository(Place(tmp_path / "nowhere").repository)


def test_another_password_is_said_so(make: Callable[..., Place]) -> None:
    with pytest.raises(RefusedError, match="has a different password"):
        find_repository(make(code=12).repository)


def test_backups_that_are_gone_or_others_are_noticed(make: Callable[..., Place], tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    claim(paths, make().repository)
    with pytest.raises(RefusedError, match="are gone"):
        claim(paths, make().repository)
    with pytest.raises(RefusedError, match="are not those that were there before"):
        claim(paths, make(id="other").repository)


def test_backups_of_another_machine_are_not_added_to(make: Callable[..., Place], tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    with pytest.raises(RefusedError, match="did not make, the last from 2030-05-17"):
        claim(paths, make(id="found", snapshots=SNAPSHOT).repository)
    assert not paths.backup_repository.exists()
    assert not claim(paths, make(id="found").repository)


def test_the_password_stands_in_no_argument_and_no_environment(make: Callable[..., Place], tmp_path: Path) -> None:
    place = make()
    claim(Paths(tmp_path), place.repository)
    said = " ".join(word for argv in place.runner.asked for word in argv)
    assert PASSWORD not in said + " ".join(place.runner.environment.values())
    assert PASSWORD not in repr(place.repository)


def test_the_archive_that_a_machine_was_recovered_from_is_never_written_to(
    make: Callable[..., Place], tmp_path: Path
) -> None:
    """Even where it cannot be recognized as one, as on a server."""
    place, paths = make(), Paths(tmp_path)
    paths.backup_repository.parent.mkdir(parents=True)
    paths.backup_repository.write_text(f"{OLD_ARCHIVE}{place.repository.shown}\n")
    with pytest.raises(RefusedError, match="is never written to"):
        claim(paths, place.repository)
    assert place.id == ""
    paths.backup_repository.write_text(f"{OLD_ARCHIVE}sftp://host/before\n")
    assert claim(paths, place.repository)
    assert paths.backup_repository.read_text() == "made\n"
