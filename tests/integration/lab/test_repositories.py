"""Create repositories for a machine with real git."""

from pathlib import Path

import pytest

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.runner import SystemRunner
from lab.repositories import IDENTITY, publish_checkout, publish_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "ecs"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__/junk.pyc").write_text("junk")
    (folder / "Dockerfile").write_text("FROM debian\n")
    return folder


def ask(runner: SystemRunner, repository: Path, *words: str) -> str:
    return runner.run(["git", "-C", repository, *words], timeout=20, env=IDENTITY).stdout.strip()


def test_a_folder_becomes_a_repository(folder: Path, tmp_path: Path, runner: SystemRunner) -> None:
    commit = publish_folder(folder, tmp_path / "ecs.git", runner)
    runner.run(["git", "clone", "--quiet", tmp_path / "ecs.git", tmp_path / "clone"], timeout=20)
    assert ask(runner, tmp_path / "clone", "rev-parse", "HEAD") == commit
    assert ask(runner, tmp_path / "clone", "branch", "--show-current") == "master"
    assert ask(runner, tmp_path / "clone", "ls-files") == "Dockerfile"
    assert ask(runner, tmp_path / "clone", "log", "--format=%an <%ae>") == "ecs-appliance demo <demo@localhost>"


def test_new_content_is_a_further_commit_and_the_same_content_none(
    folder: Path, tmp_path: Path, runner: SystemRunner
) -> None:
    bare = tmp_path / "ecs.git"
    first = publish_folder(folder, bare, runner)
    assert publish_folder(folder, bare, runner) == first
    (folder / "Dockerfile").unlink()
    (folder / "README").write_text("new\n")
    second = publish_folder(folder, bare, runner)
    assert ask(runner, bare, "rev-parse", f"{second}^") == first
    assert ask(runner, bare, "ls-tree", "--name-only", "master") == "README"


def test_a_checkout_is_published_as_main(folder: Path, tmp_path: Path, runner: SystemRunner) -> None:
    runner.run(["git", "init", "--quiet", "--initial-branch=work", folder], timeout=20)
    ask(runner, folder, "add", "Dockerfile")
    ask(runner, folder, "commit", "--quiet", "--message=one")
    commit = publish_checkout(folder, tmp_path / "bare.git", runner)
    assert commit == ask(runner, folder, "rev-parse", "HEAD")
    assert ask(runner, tmp_path / "bare.git", "rev-parse", "HEAD") == commit
    ask(runner, folder, "commit", "--quiet", "--amend", "--message=another")
    publish_checkout(folder, tmp_path / "bare.git", runner)
    assert ask(runner, tmp_path / "bare.git", "log", "--format=%s", "main") == "another"


def test_a_shallow_checkout_will_do(folder: Path, tmp_path: Path, runner: SystemRunner) -> None:
    runner.run(["git", "init", "--quiet", folder], timeout=20)
    for message in ("one", "two"):
        ask(runner, folder, "commit", "--quiet", "--allow-empty", f"--message={message}")
    shallow = tmp_path / "shallow"
    runner.run(["git", "clone", "--quiet", "--depth=1", f"file://{folder}", shallow], timeout=20)
    commit = publish_checkout(shallow, tmp_path / "bare.git", runner)
    runner.run(["git", "clone", "--quiet", tmp_path / "bare.git", tmp_path / "clone"], timeout=20)
    assert ask(runner, tmp_path / "clone", "rev-parse", "HEAD") == commit


def test_a_folder_without_history_is_refused_as_checkout(tmp_path: Path, runner: SystemRunner) -> None:
    with pytest.raises(RefusedError, match="not a git checkout"):
        publish_checkout(tmp_path, tmp_path / "bare.git", runner)
