"""Compares two env.yml files by key; for secrets, reports only that they differ."""

import difflib
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_origin

from pydantic import SecretStr

from ecs_appliance.env.check import check
from ecs_appliance.env.decoding import decode
from ecs_appliance.env.model import Env
from ecs_appliance.env.schema_walk import item_of, section_of
from ecs_appliance.env.show import SECRET_WORDS, without_password
from ecs_appliance.env.tree import Mapping, Node, Scalar, Sequence, TreeError, joined, parse, scalar, typed

NOTHING = "(nothing)"
NOT_SHOWN = "(not shown)"
# Values that count as not set, in JSON.
EMPTY = ("null", "{}", "[]")
# Context lines around a difference, and the header of a hunk that is at the start of the text.
AROUND = 1
AT_START = re.compile(r"@@ -[01]\b")

Change = Literal["added", "removed", "changed"]
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Difference:
    """A key that differs, with its values as text; None for a missing value and for one that is not shown.

    `hidden` means that a value is not shown: a secret, an unknown key, or a value that `env check` rejects, as that may
    be a misplaced secret.
    """

    path: str
    change: Change
    old: str | None
    new: str | None
    hidden: bool


@dataclass(frozen=True, repr=False)
class _Leaf:
    """`content` is compared; `shown` is displayed, None if it must not be."""

    path: str
    content: str
    shown: str | None


Leaves = AnyMapping[Key, _Leaf]
ABSENT = _Leaf("", "", None)


def diff(old: bytes, new: bytes, *, names: tuple[str, str] = ("old", "new")) -> list[Difference]:
    """Return the keys that `old` and `new` set differently, in the order of `old`, then those only in `new`.

    Compares the values in the files without defaults; ignores comments, order and notation. Raise TreeError with the
    report, which refers to the files by `names`, if one of them cannot be parsed.
    """
    before, after = _leaves(old, names[0]), _leaves(new, names[1])
    keys = [key for key in dict.fromkeys([*before, *after]) if not _is_filled(key, before, after)]
    pairs = [(before.get(key, ABSENT), after.get(key, ABSENT)) for key in keys]
    return [_difference(*pair) for pair in pairs if pair[0].content != pair[1].content]


def format_differences(differences: Iterable[Difference]) -> str:
    """Return one line per difference; multi-line values, or their differing lines, follow below it."""
    return "\n".join(line for difference in differences for line in _lines(difference)) or "no differences"


def as_json(differences: Iterable[Difference]) -> str:
    """Return the differences for programs: a JSON array of objects."""
    return json.dumps([asdict(difference) for difference in differences], indent=2, ensure_ascii=False)


def _leaves(data: bytes, name: str) -> Leaves:
    try:
        tree = parse(decode(data))
    except TreeError as error:
        raise TreeError(error.problems, name) from None
    wrong = {problem.path for problem in check(data).problems if problem.severity == "error"}
    found = dict(_known(tree, Env, (), ""))
    hide = {key for key, leaf in found.items() if leaf.path in wrong and leaf.content not in EMPTY}
    return {key: replace(leaf, shown=None) if key in hide else leaf for key, leaf in found.items()}


def _known(node: Node, annotation: Any, key: Key, path: str) -> Iterator[tuple[Key, _Leaf]]:
    """Yield the leaves of `node`, whose type in the model is `annotation`."""
    section, item = section_of(annotation), item_of(annotation)
    if section and isinstance(node, Mapping) and node.entries:
        for name, value in node.entries.items():
            field, below = section.model_fields.get(name), joined(path, name)
            if field:
                yield from _known(value, field.annotation, (*key, name), below)
            else:
                yield (*key, name), _leaf(value, below, hidden=True)
    elif item and isinstance(node, Sequence) and node.items:
        for number, value in enumerate(node.items):
            yield from _known(value, item, (*key, number), joined(path, number))
    elif get_origin(annotation) is dict:
        yield from _setup(node, key, path)
    else:
        expected = isinstance(node, Scalar) and not section and not item
        yield key, _leaf(node, path, hidden=not expected or annotation is SecretStr)


def _setup(node: Node, key: Key, path: str) -> Iterator[tuple[Key, _Leaf]]:
    """Yield the leaves of storage.setup: a mapping, or one as text, with arbitrary keys."""
    if isinstance(node, Scalar) and node.kind == "text":
        try:
            node = parse(node.text)
        except TreeError:
            yield key, _leaf(node, path, hidden=True)
            return
    yield from _free(node, key, path)


def _free(node: Node, key: Key, path: str) -> Iterator[tuple[Key, _Leaf]]:
    if isinstance(node, Mapping) and node.entries:
        for name, value in node.entries.items():
            place, below = (*key, name), joined(path, name)
            secret = SECRET_WORDS.search(name)
            yield from [(place, _leaf(value, below, hidden=True))] if secret else _free(value, place, below)
    elif isinstance(node, Sequence) and node.items:
        for number, value in enumerate(node.items):
            yield from _free(value, (*key, number), joined(path, number))
    else:
        yield key, _leaf(node, path)


def _leaf(node: Node, path: str, *, hidden: bool = False) -> _Leaf:
    content = json.dumps(scalar(node) if isinstance(node, Scalar) else typed(node), sort_keys=True)
    if content in EMPTY:
        return _Leaf(path, content, NOTHING)
    if hidden:
        return _Leaf(path, content, None)
    value = scalar(node) if isinstance(node, Scalar) else content
    return _Leaf(path, content, without_password(value) if isinstance(value, str) else content)


def _is_filled(key: Key, before: Leaves, after: Leaves) -> bool:
    """Return whether `key` is empty in one file and has keys below it in the other, which are reported instead."""
    for leaves, others in ((before, after), (after, before)):
        if key in leaves and key not in others and leaves[key].content in EMPTY:
            return any(other[: len(key)] == key for other in others)
    return False


def _difference(old: _Leaf, new: _Leaf) -> Difference:
    change: Change = "added" if old is ABSENT else "removed" if new is ABSENT else "changed"
    # Only the password in a URL differs.
    alike = change == "changed" and old.shown == new.shown
    hidden = alike or any(side is not ABSENT and side.shown is None for side in (old, new))
    shown = (None, None) if alike else (old.shown, new.shown)
    return Difference(new.path or old.path, change, *shown, hidden)


def _lines(difference: Difference) -> Iterator[str]:
    old, new = difference.old, difference.new
    sides = {"added": (new,), "removed": (old,), "changed": (old, new)}[difference.change]
    head = f"{difference.change:7}  {difference.path}"
    if difference.hidden and not any(sides):
        yield f"{head}  {NOT_SHOWN}"
    elif not any("\n" in side for side in sides if side):
        yield f"{head}: {' → '.join(_readable(side) for side in sides)}"
    else:
        yield f"{head}:"
        yield from (f"    {line}" for line in _text_lines(old, new))


def _text_lines(old: str | None, new: str | None) -> Iterator[str]:
    """Yield the differing lines of two texts as in diff -u, with AROUND lines of context and without headers."""
    before, after = (side.removesuffix("\n").split("\n") if side else [] for side in (old, new))
    if before == after:
        yield "(only the line break at the end differs)"
    for line in itertools.islice(difflib.unified_diff(before, after, n=AROUND, lineterm=""), 2, None):
        if not line.startswith("@@"):
            yield line if line.isprintable() else json.dumps(line)
        elif not AT_START.match(line):
            yield "…"


def _readable(text: str | None) -> str:
    if text is None:
        return NOT_SHOWN
    return text if text and text.isprintable() and text == text.strip() else json.dumps(text)
