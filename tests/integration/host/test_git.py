"""Checkouts that follow a source, with real git."""

import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host import git

RUNNER = SystemRunner()
AUTHOR = {f"GIT_{who}_{what}": "Test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Upstream:
    """A repository that others publish to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=master")
        self.first = self.commit("README", "one")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), "-c", "safe.directory=*", *arguments]
        return RUNNER.run(command, timeout=30, env=AUTHOR).stdout.strip()

    def commit(self, name: str, text: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.git("add", "--", name)
        self.git("commit", "--quiet", "-m", f"change {name}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream")


def follow(folder: Path, *, user: str | None = None, **asked: Any) -> git.Commit:
    """Fetch what is asked for, and check it out."""
    target = git.fetch(RUNNER, folder, user=user, **asked)
    git.checkout(RUNNER, folder, target.id, user=user)
    return target


@pytest.fixture
def sync(upstream: Upstream, tmp_path: Path) -> Callable[..., git.Commit]:
    def run(**changes: Any) -> git.Commit:
        asked: dict[str, Any] = {"source": str(upstream.folder), "branch": "master", **changes}
        return follow(tmp_path / "checkout", **asked)

    return run


Sync = Callable[..., git.Commit]


def test_clones_and_then_follows_the_branch(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    assert sync() == git.Commit(upstream.first, "master")
    second = upstream.commit("README", "two")
    assert sync().id == second
    assert (tmp_path / "checkout" / "README").read_text() == "two"
    assert git.head(RUNNER, tmp_path / "checkout") == second


def test_fetch_leaves_the_files_alone(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    sync()
    second = upstream.commit("README", "two")
    folder = tmp_path / "checkout"
    assert git.fetch(RUNNER, folder, source=str(upstream.folder), branch="master").id == second
    assert (folder / "README").read_text() == "one"
    assert git.head(RUNNER, folder) == upstream.first


def test_a_pin_wins_over_the_branch(upstream: Upstream, sync: Sync) -> None:
    upstream.commit("README", "two")
    assert sync(commitid=upstream.first) == git.Commit(upstream.first)
    assert sync(commitid=upstream.first[:10]).id == upstream.first


def test_a_pin_that_no_branch_holds_any_more_is_found(upstream: Upstream, sync: Sync) -> None:
    lost = upstream.commit("README", "two")
    upstream.git("config", "uploadpack.allowAnySHA1InWant", "true")
    upstream.git("reset", "--quiet", "--hard", upstream.first)
    assert sync(commitid=lost).id == lost


def test_a_tag_can_be_the_pin(upstream: Upstream, sync: Sync) -> None:
    upstream.git("tag", "-a", "v1", "-m", "release")
    upstream.commit("README", "two")
    assert sync(commitid="v1").id == upstream.first


def test_unknown_pin_is_named(sync: Sync) -> None:
    with pytest.raises(ApplianceError, match="has no commit " + "0" * 40) as caught:
        sync(commitid="0" * 40)
    assert "git.commitid" in caught.value.hint


def test_no_branch_is_the_default_one(upstream: Upstream, sync: Sync) -> None:
    upstream.git("branch", "stable")
    upstream.git("symbolic-ref", "HEAD", "refs/heads/stable")
    assert sync(branch="") == git.Commit(upstream.first, "stable")


def test_unknown_branch_is_named_with_those_there_are(upstream: Upstream, sync: Sync) -> None:
    upstream.git("branch", "stable")
    with pytest.raises(ApplianceError, match="no branch main") as caught:
        sync(branch="main")
    assert "master, stable" in caught.value.hint


def test_unreachable_source_is_named(sync: Sync, tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match=f"cannot fetch from {tmp_path}/nowhere"):
        sync(source=str(tmp_path / "nowhere"))


def test_a_failed_fetch_keeps_what_there_is(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    sync()
    with pytest.raises(ApplianceError):
        sync(source=str(tmp_path / "nowhere"))
    assert git.head(RUNNER, tmp_path / "checkout") == upstream.first


@pytest.mark.parametrize("changes", [
    {"source": "--upload-pack=touch pwned"},
    {"source": ""},
    {"source": "https://example.org/x\n[core]"},
    {"branch": "--orphan"},
    {"branch": "a..b"},
    {"branch": "a b"},
    {"commitid": "-f"},
    {"commitid": "HEAD~1"},
])  # fmt: skip
def test_arguments_cannot_be_options(sync: Sync, changes: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ApplianceError):
        sync(**changes)
    assert not (tmp_path / "checkout").exists()


def test_a_source_cannot_be_a_program(sync: Sync, tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="not allowed"):
        sync(source=f"ext::touch {tmp_path}/pwned")
    assert not (tmp_path / "pwned").exists()


def test_a_token_in_the_source_is_not_told(sync: Sync) -> None:
    with pytest.raises(ApplianceError) as caught:
        sync(source="https://me:t0ken-t0ken@127.0.0.1:1/x.git")
    assert "t0ken" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("login", ["t0ken-t0ken", "t0ken-t0ken:", "me:t0ken-t0ken"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_token_stays_hidden_wherever_it_stands(sync: Sync, scheme: str, login: str) -> None:
    with pytest.raises(ApplianceError) as caught:
        sync(source=f"{scheme}://{login}@127.0.0.1:1/x.git")
    assert "t0ken" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_hooks_of_the_checkout_do_not_run(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    sync()
    hook = tmp_path / "checkout" / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/pwned\n")
    hook.chmod(0o755)
    upstream.commit("README", "two")
    sync()
    assert not (tmp_path / "pwned").exists()


def test_local_changes_and_stray_files_go(sync: Sync, tmp_path: Path) -> None:
    sync()
    folder = tmp_path / "checkout"
    (folder / "README").write_text("changed by hand")
    (folder / "stray" / "deep").mkdir(parents=True)
    (folder / ".gitignore").write_text("*.pyc\n")
    (folder / "left.pyc").touch()
    sync()
    assert {path.name for path in folder.iterdir()} == {".git", "README"}
    assert (folder / "README").read_text() == "one"


def test_follows_another_source_and_a_rewritten_branch(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    upstream.commit("README", "two")
    sync()
    upstream.git("reset", "--quiet", "--hard", upstream.first)
    rewritten = upstream.commit("README", "another two")
    assert sync().id == rewritten
    other = Upstream(tmp_path / "other")
    moved = other.commit("elsewhere", "x")
    assert sync(source=str(other.folder)).id == moved
    assert (tmp_path / "checkout" / "elsewhere").exists()


def test_survives_what_a_killed_run_leaves(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    (folder / ".git" / "objects").mkdir(parents=True)  # an interrupted clone
    sync()
    upstream.commit("README", "two")
    for lock in ("index.lock", "HEAD.lock", "refs/remotes/origin/master.lock", "shallow.lock"):
        (folder / ".git" / lock).touch()
    (folder / "README").unlink()
    sync()
    assert (folder / "README").read_text() == "two"


def test_a_linked_repository_is_refused(sync: Sync, tmp_path: Path) -> None:
    sync()
    foreign = tmp_path / "foreign"
    (tmp_path / "checkout" / ".git").rename(foreign)
    (foreign / "index.lock").touch()
    (tmp_path / "checkout" / ".git").symlink_to(foreign)
    with pytest.raises(RefusedError, match="is a link"):
        sync()
    with pytest.raises(RefusedError, match="is a link"):
        git.checkout(RUNNER, tmp_path / "checkout", "f" * 40)
    assert (foreign / "index.lock").exists()


def test_locks_behind_a_link_in_the_repository_stay(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    sync()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "yarn.lock").touch()
    (tmp_path / "checkout" / ".git" / "link").symlink_to(foreign)
    upstream.commit("README", "two")
    sync()
    assert (foreign / "yarn.lock").exists()


def test_locks_are_removed_as_the_user(upstream: Upstream, open_path: Path) -> None:
    """Needs root, as the appliance does."""
    folder = open_path / "checkout"
    follow(folder, source=str(upstream.folder), branch="master", user="daemon")
    of_root = folder / ".git" / "of-root"
    of_root.mkdir()
    for lock in (of_root / "a.lock", folder / ".git" / "index.lock"):
        lock.touch()
    git.checkout(RUNNER, folder, upstream.first, user="daemon")
    assert (of_root / "a.lock").exists()
    assert not (folder / ".git" / "index.lock").exists()


def test_a_damaged_repository_is_fetched_anew(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    sync()
    for stored in (tmp_path / "checkout" / ".git" / "objects").rglob("*"):
        if stored.is_file():
            stored.chmod(0o644)
            stored.write_bytes(b"")
    second = upstream.commit("README", "two")
    assert sync().id == second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkout", "upstream"]


def test_a_repair_that_was_killed_before_its_last_step_is_finished(
    upstream: Upstream, sync: Sync, tmp_path: Path
) -> None:
    sync()
    (tmp_path / ".checkout.fresh").mkdir()
    (tmp_path / "checkout" / ".git").rename(tmp_path / ".checkout.fresh" / ".git")
    second = upstream.commit("README", "two")
    assert sync().id == second


def test_shallow_states_are_deepened(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    second = upstream.commit("README", "two")
    source = f"file://{upstream.folder}"
    RUNNER.run(["git", "clone", "--quiet", "--depth=1", source, tmp_path / "checkout"], timeout=30)
    assert sync(source=source).id == second
    assert sync(source=source, commitid=upstream.first).id == upstream.first


def test_a_shallow_source_will_do(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    upstream.commit("README", "two")
    shallow = tmp_path / "shallow"
    RUNNER.run(["git", "clone", "--quiet", "--depth=1", f"file://{upstream.folder}", shallow], timeout=30)
    assert sync(source=str(shallow)).branch == "master"
    assert sync(source=str(shallow)).branch == "master"


def test_a_folder_with_other_files_is_not_touched(sync: Sync, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "precious").touch()
    with pytest.raises(RefusedError, match="is in the way"):
        sync()
    assert (folder / "precious").exists()


def test_added_files_match_their_folder_only(upstream: Upstream, sync: Sync, tmp_path: Path) -> None:
    upstream.commit("ecs/users/migrations/0001_initial.py", "1")
    start = upstream.commit("ecs/users/models.py", "models")
    upstream.commit("ecs/users/migrations/0001_initial.py", "changed, not added")
    upstream.git("mv", "ecs/users/models.py", "ecs/users/schema.py")
    upstream.git("commit", "--quiet", "-m", "rename")
    quiet = upstream.git("rev-parse", "HEAD")
    upstream.commit("ecs/users/migrations/0002_umlaut_ä.py", "2")
    end = upstream.commit("ecs/pki/migrations/0001_initial.py", "1")
    sync()
    folder = tmp_path / "checkout"
    added = git.files_added(RUNNER, folder, start, end, "**/migrations/**")
    assert added == ["ecs/pki/migrations/0001_initial.py", "ecs/users/migrations/0002_umlaut_ä.py"]
    assert git.files_added(RUNNER, folder, start, quiet, "**/migrations/**") == []
    assert git.files_added(RUNNER, folder, "f" * 40, end, "**/migrations/**") is None


def test_no_checkout_has_no_head(tmp_path: Path) -> None:
    assert git.head(RUNNER, tmp_path) is None


def test_runs_as_another_user_on_a_source_of_root(upstream: Upstream, open_path: Path) -> None:
    """Needs root, as the appliance does."""
    target = open_path / "owned" / "checkout"
    target.parent.mkdir()
    commit = follow(target, source=str(upstream.folder), branch="master", user="daemon")
    assert commit.id == upstream.first
    account = pwd.getpwnam("daemon").pw_uid
    assert {path.stat().st_uid for path in (target, target / ".git" / "HEAD", target / "README")} == {account}
    assert git.head(RUNNER, target, user="daemon") == upstream.first
    assert git.head(RUNNER, target) is None, "root asked somebody else's repository"
    assert git.files_added(RUNNER, target, upstream.first, upstream.first, "**", user="daemon") == []
