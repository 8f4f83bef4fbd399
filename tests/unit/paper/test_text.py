import codecs

from hypothesis import given
from hypothesis import strategies as st

from ecs_appliance.paper.text import COLUMNS, numbered


def typed_back(lines: list[str]) -> str:
    """What a person gets who types the lines without their numbers."""
    text = ""
    for line in lines:
        head, body = line[:7], line[7:]
        text += body if head.strip() == "·" else ("\n" if text or line is not lines[0] else "") + body
    return text


def test_lines_are_numbered() -> None:
    assert list(numbered("a\n\nb\n")) == ["    1  a", "    2  ", "    3  b"]


def test_long_lines_are_continued() -> None:
    lines = list(numbered("x" * (2 * COLUMNS + 1)))
    assert [line[:7] for line in lines] == ["    1  ", "    ·  ", "    ·  "]
    assert typed_back(lines) == "x" * (2 * COLUMNS + 1)


def test_what_cannot_be_printed_or_seen_is_written_as_in_python() -> None:
    assert list(numbered("Grüße – €\tč\r\nend ")) == [
        "    1  Grüße – €\\tč\\r".replace("č", "\\u010d"),
        "    2  end\\x20",
    ]


@given(st.text(st.characters(exclude_characters="\\", exclude_categories=["Cs"]), min_size=1, max_size=400))
def test_everything_can_be_typed_back(text: str) -> None:
    shown = typed_back(list(numbered(text)))
    shown.encode("cp1252")
    kept = codecs.decode(shown.encode("latin-1", "backslashreplace"), "unicode_escape")
    assert kept == text.removesuffix("\n")
