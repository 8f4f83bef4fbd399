"""Flattens a YAML tree into lines of shell assignments."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from ecs_appliance.env.tree import Mapping, Node, Scalar, Sequence, scalar

ALL = "."


@dataclass(frozen=True)
class Style:
    """A line is `prefix` KEY `assign` value `postfix`; `combine` joins the levels of KEY."""

    prefix: str = ""
    postfix: str = ""
    assign: str = "="
    combine: str = "_"


def flatten(tree: Mapping, trees: str = ALL, style: Style | None = None) -> list[str]:
    """Return a line per value below the top-level keys `trees` (comma-separated, or `.` for all), sorted by key.

    Text is stripped and shell-quoted, booleans are `true` and `false`, null is empty; a list gives KEY_0, KEY_1, … and
    KEY_LEN. Numbers stay as written. Characters that are not allowed in a shell variable's name become `_`.
    """
    style = style or Style()
    wanted = tree.entries if trees == ALL else {name: tree.entries[name] for name in named(tree, trees)}
    values = dict(pair for name, node in wanted.items() for pair in _values(node, _part(name), style.combine))
    return [f"{style.prefix}{key}{style.assign}{values[key]}{style.postfix}" for key in sorted(values)]


def named(tree: Mapping, trees: str) -> list[str]:
    """Return the names of `trees` that exist in `tree`."""
    return [name for name in trees.split(",") if name in tree.entries]


def absent(tree: Mapping, trees: str) -> list[str]:
    """Return the names of `trees` that are missing in `tree`."""
    return [] if trees == ALL else [name for name in trees.split(",") if name not in tree.entries]


def _values(node: Node, key: str, combine: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Scalar):
        yield key, _quoted(node)
    elif isinstance(node, Sequence):
        for number, item in enumerate(node.items):
            yield from _values(item, f"{key}{combine}{number}", combine)
        yield f"{key}{combine}LEN", str(len(node.items))
    else:
        for name, value in node.entries.items():
            yield from _values(value, f"{key}{combine}{_part(name)}", combine)


def _part(key: str) -> str:
    """Convert `key` to part of a shell variable's name; nothing else may be in it, as a shell evaluates the output."""
    return re.sub(r"\W", "_", key, flags=re.ASCII).upper()


def _quoted(node: Scalar) -> str:
    value = scalar(node)
    if isinstance(value, bool):
        return "true" if value else "false"
    text = (value or "").strip()
    return shlex.quote(text) if text else ""
