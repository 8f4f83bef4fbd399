"""YAML 1.1 as data with positions."""

import pytest

from ecs_appliance.env.tree import Mapping, Scalar, TreeError, parse, typed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("TRUE", True),
        ("y", "y"),
        ("~", None),
        ("", None),
        ("12", 12),
        ("0x1f", 31),
        ("0b11", 3),
        ("0600", 384),
        ("-1_000", -1000),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("08", "08"),
        ("1e5", "1e5"),
        ("2020-01-01", "2020-01-01"),
        ("'12'", "12"),
        ('"yes"', "yes"),
        ("!!str 12", "12"),
        ("|\n  yes\n", "yes\n"),
    ],
)
def test_scalars_are_those_of_yaml_1_1(text: str, value: object) -> None:
    assert typed(parse(f"key: {text}\n")) == {"key": value}


def test_aliases_and_merges_are_followed() -> None:
    text = "base: &base {a: 1, b: 2}\nmerged:\n  <<: *base\n  b: 3\nsame: *base\nall: {<<: [*base]}\n"
    expected = {"base": {"a": 1, "b": 2}, "merged": {"a": 1, "b": 3}, "same": {"a": 1, "b": 2}, "all": {"a": 1, "b": 2}}
    assert typed(parse(text)) == expected


def test_every_value_knows_its_place() -> None:
    text = "a:\n  b: text  # comment\n  c: |\n    block\n"
    section = parse(text).entries["a"]
    assert isinstance(section, Mapping)
    plain, block = section.entries["b"], section.entries["c"]
    assert isinstance(plain, Scalar) and isinstance(block, Scalar)
    assert (plain.mark.line, plain.mark.column) == (2, 6)
    assert text[plain.mark.start : plain.mark.end] == "text"
    assert (block.mark.line, block.literal) == (3, True)
    assert text[block.mark.start : block.mark.end] == "|\n    block"


def test_all_duplicates_are_told_with_the_name_of_the_file() -> None:
    with pytest.raises(TreeError) as caught:
        parse("a: 1\na: 2\nb: {c: 1, c: 2}\n", "some.yml")
    assert caught.value.message.splitlines() == [
        "some.yml:2:1: error: a: this key occurs twice, first in line 1",
        "some.yml:3:11: error: b.c: this key occurs twice, first in line 3",
        "some.yml: 2 errors",
    ]
