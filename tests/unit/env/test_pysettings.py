"""Find a single string in Python text, or refuse."""

import pytest

from ecs_appliance.env.pysettings import SettingsError, string_place


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("X = 'a'\n", "'a'"),
        ('Y = 1\nX   =  "a"  # why\n', '"a"'),
        ("T = 'Größe'; X = 'ä€😀'; Z = 'z'\n", "'ä€😀'"),
        (r"X = 'it\'s'", r"'it\'s'"),
        (r"X = r'\d'", r"r'\d'"),
        ("X = ('a')\n", "'a'"),
        ("X = 'a'\nprint(X)\n", "'a'"),
        ("# X = 'b'\nS = \"X = 'c'\"\nX = 'a'\n", "'a'"),
    ],
)
def test_the_string_is_found(text: str, found: str) -> None:
    assert text[string_place(text, "X")] == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Y = 'a'\nprint(X)\n", "does not set X"),
        ("", "does not set X"),
        ("X = 'a'\nX = 'b'\n", "sets X more than once"),
        ("X = 'a'\nX += 'b'\n", "sets X more than once"),
        ("X = 'a'\ndel X\n", "sets X more than once"),
        ("for X in 'ab': pass\nX = 'a'\n", "sets X more than once"),
        ("X = Y = 'a'\n", "does not set X as"),
        ("X, Y = 'ab'\n", "does not set X as"),
        ("X: str = 'a'\n", "does not set X as"),
        ("if True:\n    X = 'a'\n", "does not set X as"),
        ("X = 'a' 'b'\n", "does not set X as"),
        ("X = ('a'\n     'b')\n", "does not set X as"),
        ("X = 'a' + 'b'\n", "does not set X as"),
        ("X = f'{1}'\n", "does not set X as"),
        ("X = b'a'\n", "does not set X as"),
        ("X = '''a'''\n", "does not set X as"),
        ("X = 'a\\\nb'\n", "does not set X as"),
        ("X = open('/dev/null').read()\n", "does not set X as"),
    ],
)
def test_what_is_no_single_plain_string_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        string_place(text, "X")
