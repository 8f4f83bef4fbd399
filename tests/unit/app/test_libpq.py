"""How the application's database password is stored."""

import json
from pathlib import Path

import pytest

from ecs_appliance.app.libpq import libpq_version, password_method
from ecs_appliance.core.markers import MarkerFolder
from tests.fakes import Answer, AnsweringRunner


class Docker(AnsweringRunner):
    """A docker whose image with the id `identity` prints `said`."""

    def __init__(self, said: str, identity: str = "sha256:1") -> None:
        self.identity = identity
        self.said = said
        super().__init__(self._answer)

    @property
    def ran(self) -> int:
        """How many containers have run."""
        return sum(words[1] == "run" for words in self.asked)

    def _answer(self, words: list[str]) -> Answer:
        image = {"Id": self.identity, "RepoTags": [], "Created": "2026-01-01T00:00:00Z", "Config": {}}
        return 0, {"image": json.dumps([image]), "run": self.said}.get(words[1], ""), ""


@pytest.mark.parametrize(
    ("said", "method"),
    [
        ("libpq 90524\n", "md5"),
        ("libpq 100000\n", "scram-sha-256"),
        ("noise\nlibpq 170002\n", "scram-sha-256"),
        ("", "md5"),
        ("libpq unknown\n", "md5"),
    ],
)
def test_method_follows_the_library_of_the_image(tmp_path: Path, said: str, method: str) -> None:
    assert password_method(Docker(said), "ecs/ecs:1", MarkerFolder(tmp_path)) == method


def test_each_image_is_asked_once(tmp_path: Path) -> None:
    old = Docker("libpq 90524\n")
    assert [libpq_version(old, "ecs/ecs:1", MarkerFolder(tmp_path)) for _ in range(3)] == [90524] * 3
    assert old.ran == 1
    new = Docker("libpq 170002\n", identity="sha256:2")
    assert libpq_version(new, "ecs/ecs:1", MarkerFolder(tmp_path)) == 170002
    assert new.ran == 1
