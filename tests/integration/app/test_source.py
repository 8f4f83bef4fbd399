"""The application's checkout including the manual, with real git."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from ecs_appliance.app import source
from ecs_appliance.app.source import Origin
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner

RUNNER = SystemRunner()
AUTHOR = {f"GIT_{who}_{what}": "Test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
NONE = Origin("")
PROMISED = """
[core]
    repositoryformatversion = 1
[extensions]
    partialClone = far
[remote "far"]
    url = {url}
    promisor = true
    uploadpack = {program}
"""


def publish(folder: Path, **files: str) -> str:
    """Commit `files` (a__b.txt is a/b.txt) to the repository in `folder`, and return the commit's id."""
    git = ["git", "-C", str(folder)]
    folder.mkdir(exist_ok=True)
    RUNNER.run([*git, "init", "--quiet", "--initial-branch=master"], timeout=30)
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    RUNNER.run([*git, "add", "."], timeout=30)
    RUNNER.run([*git, "commit", "--quiet", "-m", "change"], timeout=30, env=AUTHOR)
    return RUNNER.run([*git, "rev-parse", "HEAD"], timeout=30).stdout.strip()


def packed(folder: Path, commit: str) -> bytes:
    """Return everything that `commit` needs as a pack."""
    return RUNNER.run(
        ["git", "-C", str(folder), "pack-objects", "--revs", "--stdout", "-q"], timeout=30, input=f"{commit}\n"
    ).raw


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "machine")


@pytest.fixture
def app(tmp_path: Path) -> Origin:
    publish(tmp_path / "app", Dockerfile="FROM scratch")
    return Origin(str(tmp_path / "app"))


@pytest.fixture
def docs(tmp_path: Path) -> Origin:
    manual = {"user-manual-de__index.html": "Handbuch", "user-manual-de__img__logo": "x", "README": "not the manual"}
    publish(tmp_path / "docs", **manual)
    return Origin(str(tmp_path / "docs"))


def update(paths: Paths, app: Origin, docs: Origin) -> source.Sources:
    sources = source.fetch_sources(RUNNER, paths, app, docs, user=None)
    source.checkout_sources(RUNNER, paths, sources, user=None)
    return sources


def built(paths: Paths, sources: source.Sources, *, user: str | None = None) -> dict[str, str]:
    """Return what a build of `sources` receives: file contents and link targets, by path."""
    with source.archived(RUNNER, paths, sources, user=user) as file, tarfile.open(fileobj=file) as tar:
        return {
            entry.name: entry.linkname or content.read().decode()
            for entry in tar
            if not (entry.isdir() or entry.name.startswith(".git/"))
            and (content := tar.extractfile(entry) if entry.isfile() else io.BytesIO())
        }


def test_manual_lies_in_the_application(paths: Paths, app: Origin, docs: Origin) -> None:
    publish(Path(app.source), static__help__old="page", static__ecs="style")
    assert built(paths, update(paths, app, docs)) == {
        "Dockerfile": "FROM scratch",
        "static/ecs": "style",
        "static/help/index.html": "Handbuch",
        "static/help/img/logo": "x",
    }


def test_site_without_a_manual(paths: Paths, app: Origin) -> None:
    sources = update(paths, app, NONE)
    assert sources.docs is None
    assert built(paths, sources) == {"Dockerfile": "FROM scratch"}


def test_a_commit_is_built_as_it_is(paths: Paths, app: Origin) -> None:
    """Whatever .gitattributes says about archives and line ends."""
    attributes = "kept export-ignore\nid export-subst ident\ntext text eol=crlf\n"
    files = {"kept": "here", "id": "$Format:%H$ $Id$\n", "text": "a\nb\n"}
    publish(Path(app.source), **{".gitattributes": attributes}, **files)
    assert built(paths, update(paths, app, NONE)) == {
        ".gitattributes": attributes,
        "Dockerfile": "FROM scratch",
        **files,
    }


@pytest.mark.parametrize("commits", [1, 2])
def test_the_build_can_ask_git_for_its_version(paths: Paths, app: Origin, tmp_path: Path, commits: int) -> None:
    """As ECS's build does: without an answer its containers do not start."""
    for number in range(1, commits):
        commit = publish(Path(app.source), **{f"file{number}": "x"})
    sources = update(paths, app, NONE)
    with source.archived(RUNNER, paths, sources, user=None) as file, tarfile.open(fileobj=file) as tar:
        tar.extractall(tmp_path / "context", filter="data")

    def git(*words: str) -> str:
        return RUNNER.run(["git", "-C", tmp_path / "context", *words], timeout=30).stdout.strip()

    assert git("rev-parse", "--is-inside-work-tree") == "true"
    assert git("rev-parse", "HEAD") == sources.app.id
    assert git("rev-parse", "--abbrev-ref", "HEAD") == "master"
    assert git("log", "--pretty=format:%s", "-1") == "change"
    if commits > 1:
        assert sources.app.id == commit
        assert git("log", "--pretty=format:%s", "HEAD^..HEAD") == "change"
    assert git("rev-list", "--count", "HEAD") == str(commits)


def test_modes_and_links_are_those_of_the_commit(paths: Paths, app: Origin) -> None:
    publish(Path(app.source), run="#!/bin/sh")
    (Path(app.source) / "run").chmod(0o700)
    (Path(app.source) / "link").symlink_to("/etc/shadow")
    publish(Path(app.source))
    sources = update(paths, app, NONE)
    with source.archived(RUNNER, paths, sources, user=None) as file, tarfile.open(fileobj=file) as tar:
        assert {entry.name: (entry.mode, entry.linkname) for entry in tar if ".git/" not in entry.name} == {
            "Dockerfile": (0o644, ""),
            "run": (0o755, ""),
            "link": (0o777, "/etc/shadow"),
        }


def test_what_lies_in_the_checkout_is_not_built(paths: Paths, app: Origin) -> None:
    sources = update(paths, app, NONE)
    (paths.source / "Dockerfile").unlink()
    (paths.source / "Dockerfile").symlink_to("/etc/shadow")
    (paths.source / "more").write_text("of account app")
    (paths.source / ".git/info").mkdir(exist_ok=True)
    (paths.source / ".git/info/attributes").write_text("Dockerfile export-ignore\n")
    assert built(paths, sources) == {"Dockerfile": "FROM scratch"}


def test_other_files_by_the_commits_name_are_not_built(paths: Paths, app: Origin) -> None:
    """A repository may lie about its objects: git itself trusts the name of an object's file."""
    sources = update(paths, app, NONE)
    honest = publish(Path(app.source), Dockerfile="FROM evil")
    source.fetch_sources(RUNNER, paths, app, NONE, user=None)
    git = ["git", "-C", str(paths.source)]
    for commit in (sources.app.id, honest):
        RUNNER.run([*git, "unpack-objects", "-q"], timeout=30, input=packed(paths.source, commit))
    objects = paths.source / ".git/objects"
    for pack in (objects / "pack").iterdir():
        pack.unlink()
    lie, truth = (objects / name[:2] / name[2:] for name in (sources.app.id, honest))
    lie.unlink(missing_ok=True)
    lie.write_bytes(truth.read_bytes())
    with pytest.raises(ApplianceError), source.archived(RUNNER, paths, sources, user=None):
        pytest.fail("another commit was built")


def test_replacements_are_not_built(paths: Paths, app: Origin) -> None:
    sources = update(paths, app, NONE)
    other = publish(Path(app.source), Dockerfile="FROM evil")
    source.fetch_sources(RUNNER, paths, app, NONE, user=None)
    RUNNER.run(["git", "-C", str(paths.source), "replace", sources.app.id, other], timeout=30)
    assert built(paths, sources) == {"Dockerfile": "FROM scratch"}


def test_a_build_runs_nothing_as_root(paths: Paths, app: Origin, marker: Path) -> None:
    """Needs root, as the appliance does."""
    sources = source.fetch_sources(RUNNER, paths, app, NONE, user="daemon")
    plant(paths.source, marker)
    RUNNER.run(["sh", "-c", f"rm -rf {paths.source}/.git/objects/??"], timeout=30)
    with pytest.raises(ApplianceError), source.archived(RUNNER, paths, sources, user="daemon"):
        pytest.fail("nothing was there to build")
    assert set(marker.read_text().split()) == {"daemon"}


def test_docs_without_a_manual_are_told(
    paths: Paths, app: Origin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path / "empty", README="nothing")
    assert built(paths, update(paths, app, Origin(str(tmp_path / "empty")))) == {"Dockerfile": "FROM scratch"}
    assert "no user-manual-de" in caplog.text


def test_manual_that_cannot_be_fetched_stays(
    paths: Paths, app: Origin, docs: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    before = update(paths, app, docs)
    Path(docs.source).rename(Path(docs.source).with_name("moved"))
    after = update(paths, app, docs)
    assert after.docs is not None and before.docs is not None
    assert after.docs.id == before.docs.id
    assert built(paths, after)["static/help/index.html"] == "Handbuch"
    assert "the user manual was not updated" in caplog.text


def test_application_that_cannot_be_fetched_is_an_error(paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="cannot fetch"):
        update(paths, Origin(str(tmp_path / "nowhere")), NONE)


def test_links_in_the_manual_lead_nowhere(paths: Paths, app: Origin, docs: Origin, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the host")
    (Path(docs.source) / "user-manual-de" / "link").symlink_to(tmp_path / "secret")
    publish(Path(docs.source))
    assert built(paths, update(paths, app, docs))["static/help/link"] == str(tmp_path / "secret")


def test_fetching_alone_changes_no_file(paths: Paths, app: Origin, docs: Origin) -> None:
    update(paths, app, docs)
    target = publish(Path(app.source), new="file")
    assert source.fetch_sources(RUNNER, paths, app, docs, user=None).app.id == target
    assert not (paths.source / "new").exists()


def test_migrations_between_two_commits(paths: Paths, app: Origin) -> None:
    first = update(paths, app, NONE).app.id
    target = publish(Path(app.source), **{"ecs__users__migrations__0001_initial.py": ""})
    source.fetch_sources(RUNNER, paths, app, NONE, user=None)
    added = source.migrations_added(RUNNER, paths, first, target)
    assert added == ["ecs/users/migrations/0001_initial.py"]
    assert source.migrations_added(RUNNER, paths, None, target) is None
    assert source.migrations_added(RUNNER, paths, "f" * 40, target) is None


@pytest.fixture
def marker(paths: Paths, open_path: Path) -> Path:
    """Return the file that will contain the user name of any program that a planted configuration makes git run."""
    paths.source.parent.mkdir(parents=True)
    spool = open_path / "spool"
    spool.mkdir()
    shutil.chown(spool, "daemon")
    return spool / "ran"


def plant(folder: Path, marker: Path) -> None:
    """Make git run a program as soon as it misses an object in the repository of `folder`."""
    program = marker.with_name("program")
    program.write_text(f"#!/bin/sh\nid -un >> {marker}\n")
    program.chmod(0o755)
    with (folder / ".git" / "config").open("a") as config:
        config.write(PROMISED.format(url=folder, program=program))


def test_asking_for_migrations_runs_nothing_as_root(paths: Paths, app: Origin, marker: Path) -> None:
    """Needs root, as the appliance does."""
    first = source.fetch_sources(RUNNER, paths, app, NONE, user="daemon").app.id
    plant(paths.source, marker)
    assert source.migrations_added(RUNNER, paths, "f" * 40, first, user="daemon") is None
    assert set(marker.read_text().split()) == {"daemon"}


def test_a_manual_that_stays_is_looked_up_as_its_user(
    paths: Paths, app: Origin, docs: Origin, marker: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Needs root, as the appliance does."""
    sources = source.fetch_sources(RUNNER, paths, app, docs, user="daemon")
    source.checkout_sources(RUNNER, paths, sources, user="daemon")
    plant(paths.docs_source, marker)
    (paths.docs_source / ".git" / "HEAD").write_text("f" * 40)
    Path(docs.source).rename(Path(docs.source).with_name("moved"))
    assert source.fetch_sources(RUNNER, paths, app, docs, user="daemon").docs is None
    assert "the user manual was not updated" in caplog.text
    assert set(marker.read_text().split()) == {"daemon"}
