"""fsck's verdict on a repository, from any version of git."""

from pathlib import Path

import pytest

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.host import git
from tests.fakes import Answer, AnsweringRunner

COMMIT = "a" * 40


def fetch(folder: Path, code: int) -> git.Commit:
    """Fetch with a git that fails except in a new folder, and whose fsck exits with `code`."""

    def answer(argv: list[str]) -> Answer:
        place = Path(argv[2])
        match argv[3:4]:
            case ["init"]:
                (place / ".git").mkdir(exist_ok=True)
            case ["fetch"] if place == folder:
                return 1, "", "it is not to be had"
            case ["fsck"]:
                return code, "", ""
            case ["rev-parse"]:
                return 0, COMMIT, ""
        return 0, "", ""

    (folder / ".git").mkdir(parents=True)
    (folder / ".git/of-before").touch()
    return git.fetch(AnsweringRunner(answer), folder, source="/upstream", branch="master")


@pytest.mark.parametrize("code", [1, 2, 10, 128])
def test_whatever_it_finds_the_repository_is_fetched_anew(tmp_path: Path, code: int) -> None:
    assert fetch(tmp_path / "checkout", code).id == COMMIT
    assert not (tmp_path / "checkout/.git/of-before").exists()


def test_a_sound_one_stays(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="it is not to be had"):
        fetch(tmp_path / "checkout", 0)
    assert (tmp_path / "checkout/.git/of-before").exists()
