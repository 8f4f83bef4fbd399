"""Text as numbered lines of a page."""

from collections.abc import Iterator

# The fonts that every PDF reader has know the characters of Western Europe.
CHARACTERS = "cp1252"
COLUMNS = 92
NUMBER_COLUMNS = 5
CONTINUED = " " * (NUMBER_COLUMNS - 1) + "·"


def numbered(text: str) -> Iterator[str]:
    """The lines of `text`, each led by its number, long ones continued on lines led by a dot.

    What cannot be printed, and a space at the end of a line, stands as in Python: \\t, \\u010d.
    """
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        shown = "".join(_printable(character) for character in line)
        if shown.endswith(" "):
            shown = shown[:-1] + "\\x20"
        chunks = [shown[start : start + COLUMNS] for start in range(0, len(shown), COLUMNS)] or [""]
        yield f"{number:{NUMBER_COLUMNS}}  {chunks[0]}"
        yield from (f"{CONTINUED}  {chunk}" for chunk in chunks[1:])


def _printable(character: str) -> str:
    try:
        character.encode(CHARACTERS)
    except UnicodeEncodeError:
        return character.encode("unicode_escape").decode()
    return character if character.isprintable() else character.encode("unicode_escape").decode()
