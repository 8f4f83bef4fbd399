"""An environment is found, checked and written; a broken one changes nothing."""

from pathlib import Path

import pytest

from ecs_appliance.core.errors import InvalidEnvError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.activation import activate_found, describe, load_active
from ecs_appliance.env.discovery import all_sources, find_env
from ecs_appliance.env.source import (
    CloudInitSource,
    FileSource,
    FoundEnv,
    NoEnvironmentError,
    SourceError,
    SourceKind,
    unpacked,
)

FIXTURES = Path(__file__).parents[2] / "fixtures/env"
SMALLEST = (FIXTURES / "accepted/smallest.yml").read_bytes()
BROKEN = (FIXTURES / "broken/domain-with-shell.yml").read_bytes()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def test_the_active_environment_is_only_for_its_owner(paths: Paths) -> None:
    activated = activate_found(paths, FoundEnv(SMALLEST, "somewhere"))
    assert activated.changed
    assert paths.active_env.read_bytes() == SMALLEST
    assert paths.active_env.stat().st_mode & 0o7777 == 0o600
    assert paths.active_env_origin.read_text() == "somewhere\n"
    assert load_active(paths) == activated.env


def untouched(file: Path) -> tuple[int, ...]:
    """Return everything that a write would change, but not the time of the last access."""
    state = file.stat()
    return state.st_ino, state.st_mode, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def test_a_second_activation_changes_nothing(paths: Paths) -> None:
    activate_found(paths, FoundEnv(SMALLEST, "somewhere"))
    before = untouched(paths.active_env)
    activated = activate_found(paths, FoundEnv(SMALLEST, "elsewhere"))
    assert not activated.changed
    assert untouched(paths.active_env) == before
    assert paths.active_env_origin.read_text() == "elsewhere\n"
    assert describe(activated, paths)[-1:] == [f"unchanged: {paths.active_env} is the same as elsewhere"]


def test_a_broken_environment_leaves_the_active_one(paths: Paths) -> None:
    activate_found(paths, FoundEnv(SMALLEST, "somewhere"))
    before = {file: file.stat() for file in paths.at("/run").iterdir()}
    with pytest.raises(InvalidEnvError, match=r"somewhere:4:11: error: appliance\.domain"):
        activate_found(paths, FoundEnv(BROKEN, "somewhere"))
    assert {file: file.stat() for file in paths.at("/run").iterdir()} == before


def test_warnings_are_told_with_what_to_do_next(paths: Paths) -> None:
    activated = activate_found(paths, FoundEnv((FIXTURES / "accepted/predecessor.yml").read_bytes(), "old"))
    lines = describe(activated, paths)
    assert "old:6:1: warning: appliance.dkim.key: is missing: outgoing mail is not signed" in lines
    assert lines[-2:] == [f"active: {paths.active_env}, from old", "  → apply it: systemctl start appliance-update"]


def test_no_active_environment_is_an_error(paths: Paths) -> None:
    with pytest.raises(NoEnvironmentError, match="no environment is active"):
        load_active(paths)


class Elsewhere:
    """A source that remembers whether it was asked."""

    def __init__(self, found: FoundEnv | None = None) -> None:
        self.found = found
        self.asked = False

    def detect(self) -> bool:
        return True

    def get(self) -> FoundEnv | None:
        self.asked = True
        return self.found


def test_the_first_source_that_has_one_wins(paths: Paths) -> None:
    first, second, third = Elsewhere(), Elsewhere(FoundEnv(b"x", "second")), Elsewhere(FoundEnv(b"y", "third"))
    assert find_env(paths, SystemRunner(), sources=[first, second, third]).origin == "second"
    assert (first.asked, second.asked, third.asked) == (True, True, False)


def test_a_broken_source_ends_the_search(paths: Paths) -> None:
    paths.env_yml.mkdir(parents=True)
    after = Elsewhere(FoundEnv(b"x", "after"))
    with pytest.raises(SourceError, match="Is a directory"):
        find_env(paths, SystemRunner(), sources=[FileSource(paths.env_yml), after])
    assert not after.asked


def test_a_link_that_leads_nowhere_is_broken(tmp_path: Path) -> None:
    link = tmp_path / "env.yml"
    link.symlink_to(tmp_path / "gone")
    assert FileSource(link).detect()
    with pytest.raises(SourceError, match="No such file"):
        FileSource(link).get()


def test_no_source_at_all_is_an_error_with_a_next_step(paths: Paths) -> None:
    with pytest.raises(NoEnvironmentError) as caught:
        find_env(paths, SystemRunner(), sources=[FileSource(paths.env_yml), Elsewhere()])
    assert str(paths.env_yml) in caught.value.hint


def test_the_order_is_that_of_the_manual(paths: Paths) -> None:
    sources = all_sources(paths, SystemRunner(), {"ENV_YML": "/some/env.yml"})
    assert [type(source).__name__ for source in sources] == [
        "FileSource",
        "FileSource",
        "DriveSource",
        "DriveSource",
        "Ec2Source",
        "GceSource",
        "CloudInitSource",
    ]
    assert sources[:2] == [FileSource(Path("/some/env.yml")), FileSource(paths.env_yml)]
    assert len(all_sources(paths, SystemRunner(), {})) == len(sources) - 1


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (SourceKind.FILE, ["FileSource"]),
        (SourceKind.DRIVE, ["FileSource", "DriveSource", "DriveSource"]),
        (SourceKind.NETWORK, ["FileSource"]),
    ],
)
def test_a_machine_that_had_an_environment_does_not_ask_the_network_for_another(
    paths: Paths, kind: SourceKind, left: list[str]
) -> None:
    activate_found(paths, FoundEnv(SMALLEST, "somewhere", kind))
    assert [type(source).__name__ for source in all_sources(paths, SystemRunner(), {})] == left
    # Even if the file that records this is damaged.
    paths.env_kind.write_text("nonsense")
    assert [type(source).__name__ for source in all_sources(paths, SystemRunner(), {})] == ["FileSource"]


def test_a_machine_that_lost_its_file_says_what_it_does_not_ask_and_how_to_have_it_asked(paths: Paths) -> None:
    activate_found(paths, FoundEnv(SMALLEST, "somewhere"))
    with pytest.raises(NoEnvironmentError, match="had one from a file before, so no other kind of source") as caught:
        find_env(paths, SystemRunner())
    assert f"rm {paths.env_kind}" in caught.value.hint


def test_what_came_by_the_network_is_a_file_from_then_on(paths: Paths) -> None:
    activate_found(paths, FoundEnv(SMALLEST, "a cloud", SourceKind.NETWORK))
    assert paths.env_yml.read_bytes() == SMALLEST
    assert paths.env_yml.stat().st_mode & 0o777 == 0o600
    assert find_env(paths, SystemRunner()) == FoundEnv(SMALLEST, str(paths.env_yml))


def test_a_broken_one_of_the_network_is_not_kept(paths: Paths) -> None:
    with pytest.raises(InvalidEnvError):
        activate_found(paths, FoundEnv(BROKEN, "a cloud", SourceKind.NETWORK))
    assert not paths.env_yml.exists()
    assert not paths.env_kind.exists()


def test_an_empty_copy_of_cloud_init_is_none(tmp_path: Path) -> None:
    copy = tmp_path / "user-data.txt"
    copy.write_bytes(b"\n")
    assert CloudInitSource(copy).get() is None
    copy.write_bytes(SMALLEST)
    assert CloudInitSource(copy).get() == FoundEnv(SMALLEST, f"cloud-init ({copy})", SourceKind.NETWORK)


def test_damaged_gzip_is_broken() -> None:
    with pytest.raises(SourceError, match="somewhere: the gzipped user-data is damaged"):
        unpacked(b"\x1f\x8bnonsense", "somewhere")
