"""Finds all problems of an env.yml at once, with line and column. No message contains the value of a secret."""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ecs_appliance.core.errors import InvalidEnvError
from ecs_appliance.env import rules
from ecs_appliance.env.decoding import LARGEST, decode, first_line, read_start
from ecs_appliance.env.diagnostics import Diagnostic, Severity, report, sorted_unique
from ecs_appliance.env.model import Env, Section
from ecs_appliance.env.pysettings import SettingsError
from ecs_appliance.env.schema_walk import item_of, keys, section_of, suggest_key
from ecs_appliance.env.tree import Mapping, Mark, Node, Scalar, Sequence, TreeError, joined, parse, scalar, typed

# Old path of a key, and its current name.
RENAMED = {"appliance.extra.files[].content": "contents"}
LINE_KEY = re.compile(r"( *(?:- +)?)([A-Za-z0-9_]+): *([^# ]?)")
TEXT_HINT = ": put it in quotes to make it text"


@dataclass(frozen=True)
class Checked:
    """`env` is None if any of `problems` is an error."""

    env: Env | None
    problems: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """Whether the file can be used."""
        return self.env is not None


def check(data: bytes, *, strict: bool = False) -> Checked:
    """Check and parse the file content `data`; with `strict`, warnings are errors. Never raises."""
    try:
        text = decode(data)
        problems = list(first_line(text))
        tree = parse(text)
    except TreeError as error:
        found = (
            [*error.problems, *first_line(data.decode(errors="replace"))] if len(data) <= LARGEST else error.problems
        )
        return Checked(None, sorted_unique(_named(found, data.decode(errors="replace")), strict=strict))
    checker = _Checker(tree, text)
    env = checker.run()
    ordered = sorted_unique([*problems, *checker.problems], strict=strict)
    usable = env is not None and all(problem.severity == "warning" for problem in ordered)
    return Checked(env if usable else None, ordered)


def _named(problems: Iterable[Diagnostic], text: str) -> Iterator[Diagnostic]:
    """Yield `problems` with the known keys that lead to their lines; anything else in a line may be secret."""
    lines = text.split("\n")
    known = {word for key in keys() for word in key.path.replace("[]", "").split(".")}
    for problem in problems:
        words: list[str] = []
        deepest = sys.maxsize
        for line in reversed(lines[: problem.line] if not problem.path else []):
            found = LINE_KEY.match(line)
            # A key with a value on its line has nothing below it.
            if found and len(found[1]) < deepest and found[2] in known and not (words and found[3]):
                words, deepest = [found[2], *words], len(found[1])
            if not words or not deepest:
                break
        yield replace(problem, path=".".join(words) or problem.path)


def load(source: bytes | Path, *, name: str = "env.yml") -> Env:
    """Return the environment in `source`. Raise InvalidEnvError with the full report on `name` if it is invalid."""
    if isinstance(source, Path):
        name = str(source)
    checked = check(read_start(source) if isinstance(source, Path) else source)
    if checked.env is None:
        raise InvalidEnvError(report(checked.problems, name), "fix it; `appliance env check` shows what is left")
    return checked.env


class _Checker:
    """Checks one tree; collects `problems`."""

    def __init__(self, tree: Mapping, text: str) -> None:
        self.problems: list[Diagnostic] = []
        self._tree = tree
        self._lines = text.split("\n")
        self._broken: set[str] = set()

    def run(self) -> Env | None:
        """Check everything and return the model, None if a value is of the wrong type."""
        data = self._section(self._tree, Env, "", "")
        env = None
        try:
            env = Env.model_validate(data)
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                self._invalid(found)
        self.problems += rules.broken(self._tree, frozenset(self._broken))
        return env

    def _say(self, mark: Mark, path: str, message: str, severity: Severity = "error") -> None:
        if severity == "error":
            self._broken.add(path)
        self.problems.append(Diagnostic(mark.line, mark.column, path, severity, message))

    def _section(self, node: Mapping, section: type[Section], path: str, pattern: str) -> dict[str, Any]:
        """Return `node` as plain data for the model: known keys that have a value, under their current names."""
        self._rename(node, path, pattern)
        data = {}
        for key, value in node.entries.items():
            field = section.model_fields.get(key)
            if field is None:
                self._unknown(node.keys[key], key, path, section)
            elif not (isinstance(value, Scalar) and value.kind == "null"):
                inner = f"{pattern}.{key}" if pattern else key
                data[key] = self._value(value, field.annotation, joined(path, key), inner)
        return data

    def _value(self, node: Node, annotation: Any, path: str, pattern: str) -> Any:
        section, item = section_of(annotation), item_of(annotation)
        if section and isinstance(node, Mapping):
            return self._section(node, section, path, pattern)
        if item and isinstance(node, Sequence):
            return [
                self._value(value, item, joined(path, number), f"{pattern}[]")
                for number, value in enumerate(node.items)
            ]
        if pattern == "appliance.storage.setup":
            return self._setup(node, path)
        return scalar(node) if isinstance(node, Scalar) else typed(node)

    def _setup(self, node: Node, path: str) -> Any:
        if isinstance(node, Scalar) and node.kind == "text":
            try:
                return typed(parse(node.text))
            except TreeError as error:
                for problem in error.problems:
                    self._say(self._inside(node, problem.line, problem.column), path, problem.message)
                return {}
        return typed(node)

    def _rename(self, node: Mapping, path: str, pattern: str) -> None:
        for old_path, new in RENAMED.items():
            parent, _, old = old_path.rpartition(".")
            if parent != pattern or old not in node.entries:
                continue
            mark = node.keys.pop(old)
            value = node.entries.pop(old)
            if new in node.entries:
                self._say(mark, joined(path, old), f"is the old name of {new}, which is also set")
                continue
            self._say(mark, joined(path, old), f"is the old name of {new}", "warning")
            node.entries[new], node.keys[new] = value, mark

    def _unknown(self, mark: Mark, key: str, path: str, section: type[Section]) -> None:
        meant = suggest_key(key, path, section)
        hint = f", did you mean {meant}?" if meant else ""
        self._say(mark, joined(path, key), f"unknown key{hint}", "warning")

    def _invalid(self, found: Any) -> None:
        """Add a pydantic error to the problems."""
        node, path = self._find(found["loc"])
        mark = node.mark
        error = found.get("ctx", {}).get("error")
        if isinstance(error, SettingsError) and error.line and isinstance(node, Scalar):
            mark = self._inside(node, error.line, error.column)
        self._say(mark, path, str(error) if error else _expected(found["type"], node))

    def _find(self, loc: tuple[str | int, ...]) -> tuple[Node, str]:
        """Return the node at `loc`, or its nearest ancestor if that is missing, and the dotted path of `loc`."""
        node: Node = self._tree
        path = ""
        for part in loc:
            path = joined(path, part)
            if isinstance(node, Mapping) and part in node.entries:
                node = node.entries[str(part)]
            elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
        return node, path

    def _inside(self, node: Scalar, line: int, column: int) -> Mark:
        """Convert a place in the text of `node` to one in the file; the text of a `|` block starts below its mark."""
        number = node.mark.line + line
        if not node.literal or number > len(self._lines):
            return node.mark
        texts = node.text.split("\n")
        text = texts[line - 1] if line <= len(texts) else ""
        return Mark(number, max(len(self._lines[number - 1]) - len(text), 0) + max(column, 1))


def _expected(kind: str, node: Node) -> str:
    """Say what was expected, from pydantic's error type."""
    if kind == "missing":
        return "this key is required"
    if kind.startswith("bool"):
        return f"expected true or false, found {_found(node)}"
    if kind.startswith(("int", "greater", "less")):
        return f"expected a whole number from 0 to 10000, found {_found(node)}"
    if kind.startswith("string"):
        quotable = isinstance(node, Scalar) and node.kind != "null"
        return f"expected text, found {_found(node)}{TEXT_HINT if quotable else ''}"
    if kind.startswith(("tuple", "list")):
        return f"expected a list, found {_found(node)}"
    return f"expected a mapping of keys, found {_found(node)}"


def _found(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return {"bool": "true or false", "number": "a number", "null": "nothing", "text": "text"}[node.kind]
