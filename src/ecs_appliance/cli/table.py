"""Tables that fit the terminal; if it is too narrow, a block of lines for each row."""

import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import typer

from ecs_appliance.core.text import printable

GAP = "  "


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, whole: int = 1) -> None:
    """Print `rows` below `headings`, aligned, with every cell made printable.

    In a narrow terminal, cells are wrapped between words, except in the first `whole` columns, which users type or
    copy. If that is not enough, each row becomes a block of lines. Words are never broken. In a pipe or a file, a table
    is as wide as its content.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    width = _terminal_width()
    widths = plan_widths([list(headings), *cells], width, whole=whole)
    if widths is None:
        lines = _blocks(headings, cells, width or 0, whole=whole)
    else:
        lines = (line for row in [list(headings), *cells] for line in _lines(row, widths))
    for line in lines:
        typer.echo(line)


def plan_widths(rows: Sequence[Sequence[str]], width: int | None, *, whole: int) -> list[int] | None:
    """Return the width of each column of `rows` in a terminal of `width` (None: unlimited); None if it is too narrow.

    Each column gets the width of its longest word; the remaining space is distributed from left to right.
    """
    columns = list(zip(*rows, strict=True))
    wanted = [max(map(cell_width, column)) for column in columns]
    if width is None:
        return wanted
    least = [max(_longest_word(cell) for cell in column) for column in columns]
    least[:whole] = wanted[:whole]
    left = width - len(GAP) * (len(columns) - 1) - sum(least)
    if left < 0:
        return None
    widths = []
    for low, high in zip(least, wanted, strict=True):
        given = min(high - low, left)
        left -= given
        widths.append(low + given)
    return widths


def cell_width(text: str) -> int:
    """Return how many columns `text` takes in a terminal."""
    from rich.cells import cell_len

    return cell_len(text)


def _terminal_width() -> int | None:
    from shutil import get_terminal_size

    return get_terminal_size().columns if sys.stdout.isatty() else None


def _longest_word(cell: str) -> int:
    return max(map(cell_width, cell.split()), default=0)


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a row whose cells are wrapped to `widths`."""
    wrapped = [_wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    for parts in zip_longest(*wrapped, fillvalue=""):
        padded = (part + " " * (width - cell_width(part)) for part, width in zip(parts, widths, strict=True))
        yield GAP.join(padded).rstrip()


def _wrap(cell: str, width: int) -> list[str]:
    from textwrap import wrap

    if cell_width(cell) <= width:
        return [cell]
    return wrap(cell, width, break_long_words=False, break_on_hyphens=False) or [""]


def _blocks(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, whole: int) -> Iterator[str]:
    """Yield a line for each cell, several where it is wrapped to `width`, and an empty line between rows."""
    left = max(map(cell_width, headings))
    for number, row in enumerate(rows):
        if number:
            yield ""
        for column, (heading, cell) in enumerate(zip(headings, row, strict=True)):
            first, *more = [cell] if column < whole else _wrap(cell, max(width - left - len(GAP), 1))
            yield f"{heading:<{left}}{GAP}{first}".rstrip()
            yield from (f"{'':<{left}}{GAP}{line}" for line in more)
