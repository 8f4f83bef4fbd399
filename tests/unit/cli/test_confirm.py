"""Commands that cannot be undone ask for confirmation on a terminal; elsewhere they are refused with a hint."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ecs_appliance.cli import confirm
from ecs_appliance.cli.main import app
from ecs_appliance.core.errors import RefusedError

CLI = CliRunner()
RECOVER, REWIND = ["recover"], ["rewind", "--to", "2030-05-17 12:00"]
ROTATE = ["env", "rotate", "/nowhere/env.yml", "ecs.settings.SECRET_KEY"]


class Terminal(io.StringIO):
    """The input of a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that makes its argument the input of a terminal."""

    def type_in(text: str) -> None:
        monkeypatch.setattr("sys.stdin", Terminal(text))
        monkeypatch.setattr("sys.stderr", Terminal())

    return type_in


@pytest.mark.parametrize("text", ["y\n", "yes\n"])
def test_yes_on_a_terminal_goes_on_after_what_would_be_done_is_shown(text: str, answer: Callable[[str], None]) -> None:
    answer(text)
    shown: list[str] = []
    confirm.confirm("this removes it", yes=False, show=lambda: shown.append("it"))
    assert shown == ["it"]


@pytest.mark.parametrize("text", ["\n", "n\n"])
def test_anything_else_changes_nothing(text: str, answer: Callable[[str], None]) -> None:
    answer(text)
    with pytest.raises(RefusedError, match="nothing was changed"):
        confirm.confirm("this removes it", yes=False)


def test_without_a_terminal_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(RefusedError, match="this removes it") as caught:
        confirm.confirm("this removes it", yes=False, show=lambda: pytest.fail("shown"))
    assert caught.value.hint == "confirm with --yes"
    confirm.confirm("this removes it", yes=True)


def test_output_for_programs_is_not_mixed_with_a_question(answer: Callable[[str], None]) -> None:
    answer("y\n")
    with pytest.raises(RefusedError):
        confirm.confirm("this removes it", yes=False, quiet=True)


@pytest.mark.parametrize("words", [RECOVER, ["backup", "prune"], ROTATE])
def test_commands_that_destroy_are_refused_without_confirmation(words: list[str]) -> None:
    error = CLI.invoke(app, words).exception
    assert isinstance(error, RefusedError)
    assert "--yes" in error.hint


@pytest.mark.parametrize("spelling", ["--yes", "--yes-i-am-sure"])
def test_both_spellings_confirm(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def began(name: str) -> Callable[..., None]:
        def work(*_: object, **__: object) -> None:
            done.append(name)
            raise RefusedError("enough")

        return work

    monkeypatch.setattr("ecs_appliance.lifecycle.recover.recover", began("recover"))
    monkeypatch.setattr("ecs_appliance.lifecycle.rewind.rewind", began("rewind"))
    for words in (RECOVER, REWIND):
        CLI.invoke(app, [*words, spelling])
    assert done == ["recover", "rewind"]


def test_a_time_is_read_or_refused_with_how_to_write_it() -> None:
    done = CLI.invoke(app, ["rewind", "--to", "29.11.2026 00:18"])
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert "29.11.2026 00:18 is not a time like '2030-05-17 12:00'" in said
    assert "%" not in said


def test_the_file_that_fetch_writes_is_named_once(tmp_path: Path) -> None:
    fetch = ["backup", "fetch", "ecs-ca/crl.pem"]
    for words in ([], [str(tmp_path / "a"), "--output", str(tmp_path / "a")]):
        done = CLI.invoke(app, [*fetch, *words])
        assert (done.exit_code, "--output FILE" in done.stderr) == (2, True)
    (tmp_path / "there").touch()
    for words in ([str(tmp_path / "there")], ["--output", str(tmp_path / "there")]):
        assert "already exists" in str(CLI.invoke(app, [*fetch, *words]).exception)
