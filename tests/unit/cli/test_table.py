"""Tables in terminals: values that users type or copy are never broken."""

import pytest

from ecs_appliance.cli.table import plan_widths, show_table

HEADINGS = ("name", "user", "expires", "state")
ROW = ("Office 2025", "some.body@example.org", "2999-01-08 01:00", "revoked 2026-01-01 01:00")


def shown(capsys: pytest.CaptureFixture[str], *rows: tuple[str, ...]) -> list[str]:
    show_table(HEADINGS, rows, whole=2)
    return capsys.readouterr().out.splitlines()


def narrow(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Make standard output a terminal of `width` columns."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_word_is_broken(width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch, width)
    lines = shown(capsys, ROW, ROW)
    assert max(map(len, lines)) <= width
    for word in (ROW[0], ROW[1], "2999-01-08", "revoked"):
        assert sum(word in line for line in lines) == 2, word


def test_cells_are_wrapped_where_the_table_is_too_wide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch, 64)
    assert shown(capsys, ROW) == [
        "name         user                   expires           state",
        "Office 2025  some.body@example.org  2999-01-08 01:00  revoked",
        "                                                      2026-01-01",
        "                                                      01:00",
    ]


def test_a_narrow_terminal_gets_a_block_for_each_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch, 30)
    assert shown(capsys, ROW, ("a", "@" * 40, "never", "")) == [
        "name     Office 2025",
        "user     some.body@example.org",
        "expires  2999-01-08 01:00",
        "state    revoked 2026-01-01",
        "         01:00",
        "",
        "name     a",
        f"user     {'@' * 40}",
        "expires  never",
        "state",
    ]


def test_a_long_cell_of_a_block_is_wrapped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch, 32)
    lines = shown(
        capsys, ("Office 2025", "some.body@example.org", "2999-01-08 01:00", "revoked as it was lost on a train")
    )
    assert lines[3:] == ["state    revoked as it was lost", "         on a train"]
    assert max(map(len, lines)) <= 32


def test_a_pipe_gets_all_in_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert shown(capsys, ROW)[1] == "  ".join(ROW)


def test_nothing_steers_the_terminal_and_wide_characters_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, ("\x1b[2J", "倫理", "x", "[red]"), ("a", "b", "c", "d"))[1:] == [
        r"\x1b[2J  倫理  x        [red]",
        "a        b     c        d",
    ]


def test_room_that_is_left_goes_to_the_first_columns() -> None:
    rows = [["a b", "cc dd", "ee ff"]]
    assert plan_widths(rows, 3 + 2 + 5 + 2 + 2, whole=1) == [3, 5, 2]
    assert plan_widths(rows, None, whole=1) == [3, 5, 5]
    assert plan_widths(rows, 10, whole=1) is None
