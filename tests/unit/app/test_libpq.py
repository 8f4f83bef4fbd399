"""How the application's database password is stored."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from ecs_appliance.app.libpq import libpq_version, password_method
from ecs_appliance.core.runner import Result
from ecs_appliance.core.tags import Marks


class Docker:
    """A docker whose image `id` answers `said`; counts how often a container ran."""

    def __init__(self, said: str, identity: str = "sha256:1") -> None:
        self.said = said
        self.identity = identity
        self.ran = 0

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        timeout: float,
        input: str | bytes | None = None,  # noqa: A002
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        ok: Sequence[int] = (0,),
        secrets: Sequence[str] = (),
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        words = tuple(str(word) for word in argv)
        found = {"Id": self.identity, "RepoTags": [], "Created": "2026-01-01T00:00:00Z", "Config": {}}
        self.ran += words[1] == "run"
        answers = {"image": json.dumps([found]), "run": self.said}
        return Result(words, 0, answers.get(words[1], ""), "", 0.0)


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
    assert password_method(Docker(said), "ecs/ecs:1", Marks(tmp_path)) == method


def test_each_image_is_asked_once(tmp_path: Path) -> None:
    old = Docker("libpq 90524\n")
    assert [libpq_version(old, "ecs/ecs:1", Marks(tmp_path)) for _ in range(3)] == [90524] * 3
    assert old.ran == 1
    new = Docker("libpq 170002\n", identity="sha256:2")
    assert libpq_version(new, "ecs/ecs:1", Marks(tmp_path)) == 170002
    assert new.ran == 1
