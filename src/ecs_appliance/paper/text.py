"""Formats text as numbered lines for printing, from which it can be typed again."""

from collections.abc import Iterator

# The standard PDF fonts cover only Western European characters.
CHARACTERS = "cp1252"
COLUMNS = 92
NUMBER_COLUMNS = 5
CONTINUED, NO_LINE_END = "·", "¬"
HOW_TO_TYPE = (
    f"The continuation of a line has {CONTINUED} instead of a number. What cannot be printed or seen is written as in "
    "Python: \\t for a tab, \\x20 for a space at the end, \\u010d for a letter; and \\\\ for the backslash itself. "
    f"{NO_LINE_END} at the end: the last line has no line break."
)


def numbered(text: str) -> Iterator[str]:
    """Yield the lines of `text` with their numbers, in the notation described in HOW_TO_TYPE."""
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        shown = "".join(_printable(character) for character in line)
        chunks = [shown[start : start + COLUMNS] for start in range(0, len(shown), COLUMNS)] or [""]
        for index, chunk in enumerate(chunks):
            lead = CONTINUED if index else str(number)
            yield f"{lead:>{NUMBER_COLUMNS}}  {_visible_end(chunk)}"
    if not text.endswith("\n"):
        yield f"{NO_LINE_END:>{NUMBER_COLUMNS}}"


def _visible_end(chunk: str) -> str:
    return chunk[:-1] + "\\x20" if chunk.endswith(" ") else chunk


def _printable(character: str) -> str:
    try:
        character.encode(CHARACTERS)
    except UnicodeEncodeError:
        return character.encode("unicode_escape").decode()
    seen = character.isprintable() and character != "\\"
    return character if seen else character.encode("unicode_escape").decode()
