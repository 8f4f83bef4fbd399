"""The tree as shell assignments."""

from ecs_appliance.env.flatten import Style, absent, flatten
from ecs_appliance.env.tree import parse

TREE = parse("""\
zeta: {b: yes, a: null}
alpha:
  text: "  two words "
  quote: it's
  number: 0600
  list: [x, {y: z}]
  empty: []
  dev/sda-1: "$(reboot)"
""")


def test_a_tree_becomes_sorted_assignments() -> None:
    assert flatten(TREE, "zeta,alpha") == [
        "ALPHA_DEV_SDA_1='$(reboot)'",
        "ALPHA_EMPTY_LEN=0",
        "ALPHA_LIST_0=x",
        "ALPHA_LIST_1_Y=z",
        "ALPHA_LIST_LEN=2",
        "ALPHA_NUMBER=0600",
        "ALPHA_QUOTE='it'\"'\"'s'",
        "ALPHA_TEXT='two words'",
        "ZETA_A=",
        "ZETA_B=true",
    ]


def test_a_dot_means_all() -> None:
    assert flatten(TREE) == flatten(TREE, ".") == flatten(TREE, "alpha,zeta")


def test_the_style_decides_what_stands_around_and_between() -> None:
    style = Style(prefix="export ", postfix=";", assign=": ", combine="__")
    assert flatten(TREE, "zeta", style) == ["export ZETA__A: ;", "export ZETA__B: true;"]


def test_a_tree_that_is_not_there_is_left_out_and_named() -> None:
    assert flatten(TREE, "nope,zeta") == flatten(TREE, "zeta")
    assert absent(TREE, "nope,zeta") == ["nope"]
    assert absent(TREE, ".") == []
