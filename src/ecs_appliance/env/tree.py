"""Parses YAML to a tree with lines and columns, bounded in depth and size.

Scalars are resolved as in YAML 1.1, like all previous tools for these files did: `yes` and `on` are booleans.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ecs_appliance.core.errors import InvalidEnvError
from ecs_appliance.env.diagnostics import Diagnostic, quoted, report, sorted_unique

DEEPEST = 40
MOST_NODES = 20_000

Kind = Literal["text", "bool", "number", "null"]

NULLS = frozenset(("", "~", "null", "Null", "NULL"))
TRUES = frozenset(spelling for word in ("true", "yes", "on") for spelling in (word, word.title(), word.upper()))
FALSES = frozenset(spelling for word in ("false", "no", "off") for spelling in (word, word.title(), word.upper()))
INTEGER = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)")
FLOAT = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*|\.(inf|Inf|INF))|\.(nan|NaN|NAN)")
PLAIN_KEY = re.compile(r"[A-Za-z0-9_./-]{1,40}")
STANDARD_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "bool", "int", "float", "null", "map", "seq"))


@dataclass(frozen=True)
class Mark:
    """A place in the file: `line` and `column` count from 1, `start` and `end` are character offsets."""

    line: int = 1
    column: int = 1
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Scalar:
    """`text` is the value before type resolution; `literal` means a `|` block, whose lines are lines of the file."""

    mark: Mark
    kind: Kind
    text: str
    literal: bool = False
    size: int = 1


@dataclass
class Sequence:
    """A list; `flow` means `[a, b]` notation."""

    mark: Mark
    flow: bool = False
    items: list["Node"] = field(default_factory=list)
    size: int = 1


@dataclass
class Mapping:
    """`keys` has the place of each key in `entries`; `flow` means `{a: b}` notation."""

    mark: Mark
    flow: bool = False
    entries: dict[str, "Node"] = field(default_factory=dict)
    keys: dict[str, Mark] = field(default_factory=dict)
    size: int = 1


Node = Scalar | Sequence | Mapping


class TreeError(InvalidEnvError):
    """The text is not valid YAML, or not supported; `problems` says why."""

    def __init__(self, problems: tuple[Diagnostic, ...], name: str = "yaml") -> None:
        super().__init__(report(problems, name))
        self.problems = problems


def parse(text: str, name: str = "yaml") -> Mapping:
    """Parse `text`, whose root must be a mapping. Raise TreeError with all problems of the file, called `name`."""
    from ruamel.yaml import YAML  # noqa: PLC0415 # takes 0.1 s, which `--help` must not
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    builder = _Builder(text)
    try:
        root = builder.build(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        raise TreeError(sorted_unique([*builder.problems, _explained(error, text)]), name) from None
    except (YAMLError, ValueError, OverflowError):
        # The parser does not check the numbers in escape sequences.
        raise TreeError(
            sorted_unique([*builder.problems, _problem(Mark(), "", "the file is not valid YAML")]), name
        ) from None
    except _UnusableError as error:
        raise TreeError(sorted_unique([*builder.problems, error.problem]), name) from None
    if builder.problems:
        raise TreeError(sorted_unique(builder.problems), name)
    return root


def typed(node: Node) -> Any:
    """Convert `node` to plain Python data, numbers included: for data that is passed on unvalidated."""
    if isinstance(node, Mapping):
        return {key: typed(value) for key, value in node.entries.items()}
    if isinstance(node, Sequence):
        return [typed(item) for item in node.items]
    return _number(node.text) if node.kind == "number" else scalar(node)


def scalar(node: Scalar) -> str | bool | None:
    """Return the value of `node`; numbers as written, so that `0600` or the commit `1234567` lose nothing."""
    if node.kind == "bool":
        return node.text in TRUES
    return None if node.kind == "null" else node.text


def joined(path: str, key: str | int) -> str:
    """Append `key` to the dotted `path`; a key that is not a plain word may be a misplaced secret and becomes `?`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    shown = key if PLAIN_KEY.fullmatch(key) else "?"
    return f"{path}.{shown}" if path else shown


class _UnusableError(Exception):
    def __init__(self, problem: Diagnostic) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Builder:
    """Builds the tree from parse events, checking depth, size and aliases before anything is expanded."""

    def __init__(self, text: str) -> None:
        self.problems: list[Diagnostic] = []
        self._text = text
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()
        self._nodes = 0

    def build(self, events: Iterator[Any]) -> Mapping:
        documents = 0
        root: Node | None = None
        for event in events:
            if type(event).__name__ != "DocumentStartEvent":
                continue
            documents += 1
            if documents > 1:
                raise self._unusable(_mark(event), "", "a second document begins here: the file must be one document")
            root = self._node(next(events), events, "", 0)
        if root is None or (isinstance(root, Scalar) and root.kind == "null"):
            raise self._unusable(Mark(), "", "the file is empty: expected keys such as appliance and ecs")
        if not isinstance(root, Mapping):
            raise self._unusable(root.mark, "", "expected keys such as appliance and ecs at the top level")
        return root

    def _node(self, event: Any, events: Iterator[Any], path: str, depth: int) -> Node:
        mark = _mark(event)
        if depth > DEEPEST:
            raise self._unusable(mark, "", f"nested deeper than {DEEPEST} levels")
        kind = type(event).__name__
        if kind == "AliasEvent":
            return self._alias(event, mark, path)
        anchor = str(event.anchor or "")
        self._open.add(anchor)
        self._check_tag(event, mark, path)
        node: Node
        if kind == "MappingStartEvent":
            node = self._mapping(Mapping(mark, bool(event.flow_style)), events, path, depth)
        elif kind == "SequenceStartEvent":
            node = self._sequence(Sequence(mark, bool(event.flow_style)), events, path, depth)
        else:
            node = self._scalar(event, mark, path)
        self._open.discard(anchor)
        if anchor:
            self._anchors[anchor] = node
        self._count(1, mark, path)
        return node

    def _alias(self, event: Any, mark: Mark, path: str) -> Node:
        name = str(event.anchor)
        if name in self._open:
            raise self._unusable(mark, path, "this alias refers to a value that contains it")
        if name not in self._anchors:
            message = "an alias without an anchor: text that begins with * or & needs quotes"
            raise self._unusable(mark, path, message)
        node = replace(self._anchors[name], mark=mark)
        self._count(node.size, mark, path)
        return node

    def _mapping(self, node: Mapping, events: Iterator[Any], path: str, depth: int) -> Mapping:
        merged: list[tuple[Mark, Node]] = []
        last = node.mark.end
        for event in events:
            if type(event).__name__ == "MappingEndEvent":
                break
            place = _mark(event)
            key = self._key(event, events, place, path, depth)
            below = joined(path, key)
            value = self._placed(self._node(next(events), events, below, depth + 1), place)
            node.size += 1 + value.size
            last = value.mark.end
            if key == "<<" and event.implicit[0]:
                merged.append((place, value))
            elif key in node.entries:
                message = f"this key occurs twice, first in line {node.keys[key].line}"
                self.problems.append(_problem(place, below, message))
            else:
                node.entries[key], node.keys[key] = value, place
        for place, value in merged:
            self._merge(node, value, place, path)
        node.mark = replace(node.mark, end=event.end_mark.index if node.flow else last)
        return node

    def _placed(self, value: Node, key: Mark) -> Node:
        """Place an empty value right after its colon; the parser gives it no useful place."""
        if isinstance(value, Scalar) and value.mark.start == value.mark.end:
            colon = self._text.find(":", key.end) + 1
            return replace(value, mark=replace(key, start=colon, end=colon))
        return value

    def _key(self, event: Any, events: Iterator[Any], place: Mark, path: str, depth: int) -> str:
        key = self._node(event, events, path, depth + 1)
        if not isinstance(key, Scalar):
            raise self._unusable(place, path, "a key must be a word")
        if len(key.text) > 255:  # noqa: PLR2004 # longer than any key of any tool that reads this
            raise self._unusable(place, path, "a key must be a word, not a long text")
        return key.text

    def _merge(self, node: Mapping, value: Node, place: Mark, path: str) -> None:
        for source in value.items if isinstance(value, Sequence) else [value]:
            if not isinstance(source, Mapping):
                self.problems.append(_problem(place, path, "<< needs a mapping"))
                continue
            for key, inherited in source.entries.items():
                if key not in node.entries:
                    node.entries[key], node.keys[key] = inherited, source.keys[key]

    def _sequence(self, node: Sequence, events: Iterator[Any], path: str, depth: int) -> Sequence:
        for event in events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            item = self._node(event, events, joined(path, len(node.items)), depth + 1)
            node.items.append(item)
            node.size += item.size
        last = node.items[-1].mark.end if node.items else node.mark.end
        node.mark = replace(node.mark, end=event.end_mark.index if node.flow else last)
        return node

    def _scalar(self, event: Any, mark: Mark, path: str) -> Scalar:
        text = str(event.value)
        if any(ord(char) < ord(" ") and char not in "\t\n" for char in text) or not _encodable(text):
            self.problems.append(_problem(mark, path, "contains a control character"))
        plain = event.implicit[0] and not event.style
        mark = replace(mark, end=mark.start + len(self._text[mark.start : mark.end].rstrip("\n")))
        return Scalar(mark, _kind(text) if plain else "text", text, literal=event.style == "|")

    def _check_tag(self, event: Any, mark: Mark, path: str) -> None:
        if event.tag is not None and str(event.tag) not in STANDARD_TAGS:
            message = "tags are not supported: text that begins with ! needs quotes"
            self.problems.append(_problem(mark, path, message))

    def _count(self, nodes: int, mark: Mark, path: str) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise self._unusable(mark, path, f"more than {MOST_NODES} values after expanding aliases")

    def _unusable(self, mark: Mark, path: str, message: str) -> _UnusableError:
        return _UnusableError(_problem(mark, path, message))


def _problem(mark: Mark, path: str, message: str) -> Diagnostic:
    return Diagnostic(mark.line, mark.column, path, "error", message)


def _mark(event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    return Mark(start.line + 1, start.column + 1, start.index, end.index)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(text: str) -> Kind:
    if text in NULLS:
        return "null"
    if text in TRUES or text in FALSES:
        return "bool"
    return "number" if INTEGER.fullmatch(text) or FLOAT.fullmatch(text) else "text"


def _number(text: str) -> int | float | str:
    plain = text.replace("_", "")
    digits = plain.lstrip("+-")
    try:
        if digits.startswith(("0x", "0b")):
            return int(plain, 0)
        if INTEGER.fullmatch(text):
            return int(plain, 8 if len(digits) > 1 and digits.startswith("0") else 10)
        return float(plain.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return text


# The parser's messages may quote the file, and thus secrets, so they are translated.
NEVER_CLOSED = "this quote is never closed"
EXPLANATIONS = (
    (r"\\t", "a tab: indent YAML with spaces"),
    (r"character '([@`%,\]}])'", "text that begins with {0} needs quotes"),
    (r"mapping values are not allowed", "a second ':' or wrong indentation: text that contains ': ' needs quotes"),
    (r"unexpected end of stream", NEVER_CLOSED),
    (r"expected ',' or '([\]}])'", "the closing {0} of this, or a comma in it, is missing"),
    (r"expected ':'|could not find", "expected 'key: value': is this indented less than the text above?"),
    (r"unknown escape|escape sequence", "an unknown \\ sequence: use single quotes or a | block for literal text"),
    (r"expected <block end>", "the indentation does not match the lines above"),
)


# The cause of these errors is before the place where the parser noticed them.
BEGUN_BEFORE = re.compile("unexpected end of stream|expected ',' or|could not find")
KEY = r"^[ ]*(?:- +)?[A-Za-z0-9_.-]+:"
QUOTE_OPENED = re.compile(KEY + """ +(?=["'])""")
QUOTED = re.compile(r"""\"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'""", re.DOTALL)
GLUED = re.compile(KEY + r"(?!//)[^ \n]")


def _explained(error: Any, text: str) -> Diagnostic:
    problem = error.problem or ""
    begun = error.context_mark if BEGUN_BEFORE.search(problem) else None
    place = begun or error.problem_mark or error.context_mark
    mark = Mark(place.line + 1, place.column + 1) if place else Mark()
    opened = _quote_ended_in(text, mark.line)
    if opened:
        return _problem(opened, "", NEVER_CLOSED)
    lines = text.split("\n")
    # Without a space after its colon, a key is parsed as plain text that continues on the next lines.
    for number in (mark.line, mark.line - 1):
        if "could not find" in problem or "mapping values" in problem:
            line = lines[number - 1] if 0 < number <= len(lines) else ""
            if GLUED.match(line):
                return _problem(
                    Mark(number, len(line) - len(line.lstrip()) + 1), "", "a space is missing after the ':'"
                )
    return _problem(mark, "", _explain(problem))


def _quote_ended_in(text: str, last: int) -> Mark | None:
    """Return the place of a quote opened above line `last` and closed on it: its own closing quote is missing."""
    start = 0
    for number, line in enumerate(text.split("\n")[: last - 1], start=1):
        opened = QUOTE_OPENED.match(line)
        quoted_text = QUOTED.match(text, start + opened.end()) if opened else None
        if opened and quoted_text and number + quoted_text[0].count("\n") == last:
            return Mark(number, opened.end() + 1)
        start += len(line) + 1
    return None


def _explain(problem: str) -> str:
    for pattern, meaning in EXPLANATIONS:
        found = re.search(pattern, problem)
        if found:
            return meaning.format(*(quoted(group)[1:-1] for group in found.groups()))
    return "this is not valid YAML"


def is_plain_text(text: str) -> bool:
    """Return whether `text` without quotes is read as text, not as a number, boolean or null."""
    return _kind(text) == "text"
