import codecs

from hypothesis import given
from hypothesis import strategies as st

from ecs_appliance.paper.text import COLUMNS, HOW_TO_TYPE, numbered


def typed_back(lines: list[str]) -> str:
    """Return what a person gets by typing the lines as HOW_TO_TYPE says."""
    end = "\n"
    if lines[-1].strip() == "¬":
        end, lines = "", lines[:-1]
    text = ""
    for number, line in enumerate(lines):
        continued = line[:5].strip() == "·"
        text += line[7:] if continued or not number else f"\n{line[7:]}"
    return codecs.decode(text.encode("latin-1", "backslashreplace"), "unicode_escape") + end


def test_lines_are_numbered() -> None:
    assert list(numbered("a\n\nb\n")) == ["    1  a", "    2  ", "    3  b"]


def test_long_lines_are_continued() -> None:
    lines = list(numbered("x" * (2 * COLUMNS + 1) + "\n"))
    assert [line[:7] for line in lines] == ["    1  ", "    ·  ", "    ·  "]
    assert typed_back(lines) == "x" * (2 * COLUMNS + 1) + "\n"


def test_what_cannot_be_printed_or_seen_is_written_as_in_python() -> None:
    assert list(numbered("Grüße – €\tč\r\nend \nC:\\t\n")) == [
        "    1  Grüße – €\\tč\\r".replace("č", "\\u010d"),
        "    2  end\\x20",
        "    3  C:\\\\t",
    ]


def test_a_space_at_the_end_of_each_part_of_a_line_is_seen() -> None:
    first, second = numbered("x" * (COLUMNS - 1) + " y\n")
    assert (first[-5:], second) == ("x\\x20", "    ·  y")


def test_a_line_end_that_is_missing_is_told() -> None:
    assert list(numbered("a")) == ["    1  a", "    ¬"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400))
def test_everything_can_be_typed_back(text: str) -> None:
    lines = list(numbered(text))
    "".join(lines).encode("cp1252")
    assert typed_back(lines) == text


def test_how_to_type_it_can_be_printed() -> None:
    assert HOW_TO_TYPE.encode("cp1252")
