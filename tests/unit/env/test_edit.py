"""Values are set; the rest of the text stays unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.env.edit import dotted, replace_within, set_values
from ecs_appliance.env.tree import parse, typed

TEXT = """\
# head
a: one   # about a
list: [1, 2]  # about list

# about section
section:
  text: |  # about text
    first
    second

  # about empty
  empty:
  deep: {x: 1}
# end
"""


def changed(values: dict[str, object]) -> list[str]:
    """Return the lines of TEXT that setting `values` removes (-) and adds (+)."""
    before, after = TEXT.splitlines(), set_values(TEXT, values).splitlines()
    return [f"-{line}" for line in before if line not in after] + [f"+{line}" for line in after if line not in before]


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({}, []),
        ({"a": "two"}, ["-a: one   # about a", "+a: two   # about a"]),
        ({"a": "x: y"}, ["-a: one   # about a", '+a: "x: y"   # about a']),
        ({"a": True}, ["-a: one   # about a", "+a: true   # about a"]),
        ({"a": "yes"}, ["-a: one   # about a", '+a: "yes"   # about a']),
        ({"a": "0600"}, ["-a: one   # about a", '+a: "0600"   # about a']),
        ({"a": SecretStr("s")}, ["-a: one   # about a", "+a: s   # about a"]),
        ({"a": "x\ny\n"}, ["-a: one   # about a", "+a: |   # about a", "+  x", "+  y"]),
        ({"list": ["x"]}, ["-list: [1, 2]  # about list", "+list:  # about list", "+  - x"]),
        ({"list": []}, ["-list: [1, 2]  # about list", "+list: []  # about list"]),
        ({"section.text": "t"}, ["-  text: |  # about text", "-    first", "-    second", "+  text: t  # about text"]),
        ({"section.empty": "e"}, ["-  empty:", "+  empty: e"]),
        ({"section.empty.below.it": 1}, ["+    below:", "+      it: 1"]),
        ({"section.deep.y": 2}, ["-  deep: {x: 1}", "+  deep:", "+    x: 1", "+    y: 2"]),
        ({"section.deep.x": "y: z"}, ["-  deep: {x: 1}", '+  deep: {x: "y: z"}']),
        ({"section.deep.x": "y\nz\n"}, ["-  deep: {x: 1}", '+  deep: {x: "y\\nz\\n"}']),
        ({"section.new": {"k": ["v"]}}, ["+  new:", "+    k:", "+      - v"]),
        ({"other.deep": None}, ["+other:", "+  deep:"]),
    ],
)
def test_only_the_value_changes(values: dict[str, object], lines: list[str]) -> None:
    assert changed(values) == lines


def test_a_value_can_not_be_set_below_a_text() -> None:
    with pytest.raises(ApplianceError, match="a is not a mapping"):
        set_values(TEXT, {"a.b": 1})


def test_an_anchor_that_others_need_is_not_taken_away() -> None:
    with pytest.raises(ApplianceError, match="cannot be edited safely"):
        set_values("a: &x 1\nb: *x\n", {"a": 2})


def test_braces_around_everything_stay() -> None:
    text = '{"a": {"b": "x", # about b\n "c": [1]}}\n'
    assert set_values(text, {"a.b": "y"}) == text.replace('"x"', "y")


BLOCK = """\
ecs:
    settings: |+  # about it
            A = 'ä'  # Größe
            B = 'old'   # keep me

              # deeper\t

    last: 1
"""


def test_within_a_block_only_the_place_changes() -> None:
    value = typed(parse(BLOCK))["ecs"]["settings"]
    start = value.index("old")
    assert replace_within(BLOCK, "ecs.settings", slice(start, start + 3), "new one") == BLOCK.replace("old", "new one")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "one\\ntwo old\\n"}  # why\n',
        'a: "one\\ntwo old\\n"  # why\n',
        "a: >  # why\n  one\n\n  two old\nb: 1\n",
        "b: &b |\n  one\n  two old\na: *b  # why\n",
    ],
)
def test_text_that_is_written_another_way_is_written_anew(text: str) -> None:
    value = typed(parse(text))["a"]
    start = value.index("old")
    changed = replace_within(text, "a", slice(start, start + 3), "new")
    assert typed(parse(changed)) == {**typed(parse(text)), "a": value.replace("old", "new")}
    assert "# why" in changed


def test_only_a_text_has_something_within() -> None:
    for path in ("list", "section", "nowhere", "a.b"):
        with pytest.raises(ApplianceError, match="is not text"):
            replace_within(TEXT, path, slice(0, 1), "x")


def test_nested_mappings_become_dotted_keys() -> None:
    assert dotted({"a": {"b": 1, "c": {"d": [2]}}, "e": {}}) == {"a.b": 1, "a.c.d": [2], "e": {}}


LEAVES = st.one_of(st.booleans(), st.none(), st.integers(-999, 999), st.text(max_size=30))
KEYS = st.text("abc-: ", min_size=1, max_size=4)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def printable(value: object) -> bool:
    if isinstance(value, dict):
        return all(printable(key) and printable(item) for key, item in value.items())
    if isinstance(value, list):
        return all(printable(item) for item in value)
    return not isinstance(value, str) or all(char.isprintable() or char == "\n" for char in value)


@given(st.sampled_from(["a", "list", "section.text", "section.empty", "section.deep.x", "new.key"]), VALUES)
def test_what_was_set_is_read_back(path: str, value: object) -> None:
    try:
        text = set_values(TEXT, {path: value})
    except ApplianceError:
        # A file may not contain control characters, so nothing is written.
        assert not printable(value)
        return
    data = typed(parse(text))
    for part in path.split("."):
        data = data[part]
    assert data == value
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# head", "# about section", "# end"]
